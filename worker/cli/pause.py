"""`dtmf pause`."""

import click

from worker.cli.arguments import channel_argument
from worker.cli.door import door
from worker.cli.output import console, count, plain_errors


@click.command()
@channel_argument
@plain_errors
def pause(channel: str) -> None:
    """Send nothing more on CHANNEL until it is resumed. New tasks are taken and wait; their deadlines go on.

    CHANNEL is a channel id, its digest, or - for a line of standard input.
    """
    waiting = door().ask(lambda queue: queue.pause(channel))
    console.print(f"channel {channel} is paused; waiting: {count(waiting, 'task')}")
