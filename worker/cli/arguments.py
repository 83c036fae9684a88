"""What commands are told: a channel, a line of standard input, and whether to show personal data."""

import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from worker.errors import InvalidTask
from worker.task import check_channel_id
from worker.vault import channel_digest

_DIGEST = re.compile(r"[0-9a-f]{32}")
_MOST = 65_536
_Command = TypeVar("_Command", bound=Callable[..., Any])


def line_of_stdin(what: str) -> str:
    """The one line that stands in standard input.

    Raises:
        click.UsageError: there is none, there are more, or it is no text; naming what was expected, never the line.
    """
    try:
        text = sys.stdin.readline() if sys.stdin.isatty() else sys.stdin.read(_MOST)
    except UnicodeDecodeError:
        text = "\0"
    lines = text.rstrip("\r\n").split("\n")
    if lines == [""]:
        raise click.UsageError(f"standard input is empty; expected {what} on one line")
    if len(lines) > 1:
        raise click.UsageError(f"standard input holds more than one line; expected {what} on one line")
    if "\0" in text:
        raise click.UsageError(f"standard input is not text; expected {what} on one line")
    return lines[0]


def _digest(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    if value == "-":
        value = line_of_stdin("a channel id or its digest")
    if _DIGEST.fullmatch(value):
        return value
    try:
        return channel_digest(check_channel_id(value))
    except InvalidTask as error:
        reason = str(error)
    raise click.BadParameter(reason)


def _only_on_a_terminal(_ctx: click.Context, _param: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click's
    if value and not sys.stdout.isatty():
        raise click.UsageError("--reveal shows digits and phone numbers on a terminal only, not in a file or a pipe")
    return value


# A channel as its digest: given as its id, as the digest, or as - for a line of standard input.
channel_argument = click.argument("channel", callback=_digest)


def reveal_option_for(what: str) -> Callable[[_Command], _Command]:
    """The option --reveal: show this, which is personal data."""
    help_ = f"Show {what}; on a terminal only."
    return click.option("--reveal", is_flag=True, callback=_only_on_a_terminal, help=help_)


reveal_option = reveal_option_for("the channel id and the keys of what waits")
json_option = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
