"""How commands show things, and how they end when something is wrong."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.errors import DtmfError
from worker.record import Record, State

# No markup and no emoji: task ids and channel ids may hold what looks like either.
console = Console(highlight=False, markup=False, emoji=False)
P = ParamSpec("P")
R = TypeVar("R")
_GOOD = {State.SENT, State.PRESUMED}
# Of the eight basic colours those that can be read on a light and on a dark terminal; a word says the same each time.
GOOD, ODD, BAD = "green", "magenta", "bold red"


def state_style(state: State) -> str:
    """The colour of a state."""
    if state in _GOOD:
        return GOOD
    return {State.QUEUED: "", State.SENDING: "", State.CANCELLED: ODD}.get(state, BAD)


def span(ms: float) -> str:
    """A time for people: 0.4 s, 12 min, 3 h, 2 d."""
    seconds = ms / 1000
    if seconds < 100:
        return f"{seconds:.1f} s"
    for unit, size in (("min", 60), ("h", 3600)):
        if seconds / size < 100:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def print_line(line: Text) -> None:
    """Print one line: in a terminal cut at its edge, in a file or a pipe whole."""
    if console.is_terminal:
        console.print(line, no_wrap=True, overflow="ellipsis")
    else:
        console.print(line, soft_wrap=True)


def count(number: int, what: str) -> str:
    """1 task, 2 tasks."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def facts(lines: Iterable[tuple[str, str]]) -> Table:
    """Names and what is to be said of each, below each other."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True, min_width=10)
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(name, text)
    return table


def plain_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Show an error of ours as one line and exit status 1, without a traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except click.ClickException:
            raise
        except DtmfError as error:
            text = str(error)
        raise click.ClickException(text)

    return wrapped


def show_record(record: Record) -> None:
    """Print how a task ended, digit by digit; never a key."""
    line = Text.assemble("task ", record.id, ": ", (record.state, f"bold {state_style(record.state)}"))
    if record.error:
        line.append(f" ({', '.join(filter(None, (record.error, record.code)))})")
    if record.broken_by:
        line.append(f"\nthe line was broken by task {record.broken_by}")
    line.append(f"\nchannel {record.ch}")
    console.print(line)
    table = Table("digit", "outcome", "attempts", "after", box=None, header_style="bold")
    table.add_column("code", overflow="fold")
    table.add_column("request id", overflow="fold")
    for digit in record.digits:
        after = f"{(digit.ended_at - record.enqueued_at) / 1000:.3f} s" if digit.ended_at else ""
        table.add_row(
            str(digit.index), digit.outcome, str(digit.attempts), after, digit.code or "", digit.request_id or ""
        )
    console.print(table)


def exit_status(state: State) -> int:
    """0 if every digit was sent or presumed sent, else 1."""
    return 0 if state in _GOOD else 1
