"""`dtmf status`."""

import sys

import click

from worker.cli import door
from worker.cli.arguments import reveal_option
from worker.cli.output import console, count, exit_status, facts, plain_errors, show_record, span


@click.command()
@reveal_option
@click.argument("task_id")
@plain_errors
def status(task_id: str, *, reveal: bool) -> None:
    """Show how the task TASK_ID stands, or how it ended. Exit status 0 if it was sent, waits or is being sent."""
    from worker import send_dtmf  # noqa: PLC0415 - it reads the settings

    found = send_dtmf.status(task_id)
    if found is None:
        raise click.ClickException(f"no task {task_id} is known; records are kept for DTMF_RECORD_MS, a day by default")
    if found.record:
        show_record(found.record)
        if reveal:
            console.print("its keys are gone with the task")
        sys.exit(exit_status(found.state))
    console.print(
        f"task {found.id}: {found.state}, {found.settled} of {found.digits} digits settled, "
        f"{count(found.ahead, 'task')} ahead, {span(found.left_ms)} to its deadline",
        soft_wrap=True,
    )
    payload = door.reveal([task_id]).get(task_id) if reveal else None
    console.print(f"channel {found.ch}")
    if payload:
        told = {"channel id": payload.channel_id, "job id": payload.job_id, "keys": payload.keys}
        console.print(facts(told.items()))
