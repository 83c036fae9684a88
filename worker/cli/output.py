"""How commands show things, and how they end when something is wrong."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.errors import DtmfError
from worker.record import Record, State

console = Console(highlight=False)
P = ParamSpec("P")
R = TypeVar("R")
_GOOD = {State.SENT, State.PRESUMED}


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
    colour = "green" if record.state in _GOOD else "red"
    line = Text.assemble("task ", record.id, ": ", (record.state, f"bold {colour}"))
    if record.error:
        line.append(f" ({', '.join(filter(None, (record.error, record.code)))})")
    if record.broken_by:
        line.append(f"\nthe line was broken by task {record.broken_by}")
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
