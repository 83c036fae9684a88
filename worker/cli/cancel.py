"""`dtmf cancel`."""

import sys

import click

from worker.cli.door import door
from worker.cli.output import console, plain_errors
from worker.record import State


@click.command()
@click.argument("task_id")
@plain_errors
def cancel(task_id: str) -> None:
    """End the task TASK_ID before its next digit; a digit that is on its way cannot be recalled.

    Exit status 0 if it is or will be cancelled, 1 if it is too late for that.
    """
    from worker.task import check_task_id  # noqa: PLC0415

    checked = check_task_id(task_id)
    match door().ask(lambda queue: queue.cancel(checked)):
        case ["DONE"]:
            console.print(f"task {checked} is cancelled")
        case ["REQUESTED"]:
            console.print(f"task {checked} is in progress: it ends before its next digit")
        case ["RECORDED", State.CANCELLED]:
            console.print(f"task {checked} was cancelled before")
        case ["RECORDED", str(state)]:
            console.print(f"too late: task {checked} had ended as {state}")
            sys.exit(1)
        case _:
            raise click.ClickException(f"no task {checked} is known")
