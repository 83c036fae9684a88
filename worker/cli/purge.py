"""`dtmf purge`."""

import sys

import click

from worker.cli.arguments import channel_argument
from worker.cli.door import door
from worker.cli.output import console, count, plain_errors


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask; needed where standard input is no terminal.")
@channel_argument
@plain_errors
def purge(channel: str, *, yes: bool) -> None:
    """Cancel every task that waits on CHANNEL, each with its record. What is in progress ends before its next digit.

    CHANNEL is a channel id, its digest, or - for a line of standard input.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("standard input is no terminal, so nobody can be asked; add --yes")
        waiting = door().ask(lambda queue: queue.look(channel, 1)).waiting
        click.confirm(f"Cancel {count(waiting, 'task')} of channel {channel}?", abort=True)
    purged = door().ask(lambda queue: queue.purge(channel))
    console.print(f"channel {channel}: {count(purged.ended, 'task')} cancelled")
    if purged.in_progress:
        console.print(f"task {purged.in_progress} is in progress: it ends before its next digit")
    if purged.broke_line:
        console.print(
            "One had been sent in part, so the channel takes no new tasks for a while; dtmf resume ends that at once."
        )
