"""`dtmf send`."""

import sys
import time

import click

from worker.cli.arguments import line_of_stdin
from worker.cli.output import console, exit_status, plain_errors, show_record
from worker.producer import TaskStatus

_POLL_S = 0.05
_GRACE_S = 15.0


@click.command()
@click.option("--channel", "channel_id", required=True, help="ChannelId of the call.")
@click.option("--job", "job_id", required=True, help="JobId of the call.")
@click.option("--instance", "instance_id", help="Instance; CCC_INSTANCE_ID by default.")
@click.option("--user", "user_id", help="Agent; CCC_USER_ID by default.")
@click.option("--device", "device_id", help="Device; CCC_DEVICE_ID by default.")
@click.option("--task-id", help="Id of the task; made up by default.")
@click.option("--expires-in", type=float, help="Seconds after which no digit is sent.")
@click.option("--gap-ms", type=int, help="Least time between two digits.")
@click.option("--on-failure", type=click.Choice(["cancel", "continue"]), default="cancel", show_default=True)
@click.option("--on-unknown", type=click.Choice(["stop", "resend"]), default="stop", show_default=True)
@click.option("--no-wait", is_flag=True, help="Print the task's id and leave.")
@click.argument("dtmf")
@plain_errors
def send(dtmf: str, *, no_wait: bool, task_id: str | None, **task: str | float | None) -> None:
    """Press the keys DTMF on a channel: 0-9 * #, with the pauses w (0.5 s), W (1 s) and comma (0.5 s).

    With - they are read from standard input: then they stand neither in the shell's history nor in the list of
    processes.
    """
    from worker import send_dtmf  # noqa: PLC0415 - it reads the settings

    if dtmf == "-":
        dtmf = line_of_stdin("the keys of one task")
    result = send_dtmf.apply_async(kwargs={"dtmf": dtmf, **task}, task_id=task_id)
    if no_wait:
        click.echo(result.id)
        return
    # The record is asked for, not Celery's result: it is there even if no worker follows the stream.
    end = None
    with console.status(f"task {result.id} is on its way"):
        while True:
            status: TaskStatus | None = send_dtmf.status(result.id)
            if status is None:
                raise click.ClickException(f"task {result.id} is not known any more; did Redis lose its data?")
            if status.record:
                break
            end = end or time.monotonic() + status.left_ms / 1000 + _GRACE_S
            if time.monotonic() > end:
                raise click.ClickException(
                    f"task {result.id} is still {status.state} although its deadline has passed; does a worker run?"
                )
            time.sleep(_POLL_S)
    show_record(status.record)
    sys.exit(exit_status(status.state))
