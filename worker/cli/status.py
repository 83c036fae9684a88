"""`dtmf status`."""

import sys

import click

from worker.cli.output import console, exit_status, plain_errors, show_record


@click.command()
@click.argument("task_id")
@plain_errors
def status(task_id: str) -> None:
    """Show how the task TASK_ID stands, or how it ended. Exit status 0 if it was sent, waits or is being sent."""
    from worker import send_dtmf  # noqa: PLC0415 - it reads the settings

    found = send_dtmf.status(task_id)
    if found is None:
        raise click.ClickException(f"no task {task_id} is known; records are kept for DTMF_RECORD_MS, a day by default")
    if found.record:
        show_record(found.record)
        sys.exit(exit_status(found.state))
    console.print(
        f"task {found.id}: {found.state}, {found.settled} of {found.digits} digits settled, "
        f"{found.ahead} tasks ahead, {found.left_ms / 1000:.1f} s to its deadline"
    )
