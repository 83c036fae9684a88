"""`dtmf resume`."""

import click

from worker.cli.arguments import channel_argument
from worker.cli.door import door, wake
from worker.cli.output import console, plain_errors


@click.command()
@channel_argument
@plain_errors
def resume(channel: str) -> None:
    """End the pause of CHANNEL and acknowledge its broken line: it takes and sends tasks again.

    CHANNEL is a channel id, its digest, or - for a line of standard input.
    """
    if door().ask(lambda queue: queue.resume(channel)):
        wake(channel)
    console.print(f"channel {channel} is neither paused nor broken now")
