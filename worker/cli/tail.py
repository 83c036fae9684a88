"""`dtmf tail`."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click
from pydantic import ValidationError
from redis.exceptions import RedisError
from rich.text import Text

from config.settings import Settings
from worker.channel.server import explain, may_pass
from worker.cli.arguments import json_option
from worker.cli.connection import client_of
from worker.cli.output import plain_errors, print_line, span, state_style
from worker.errors import QueueUnavailable
from worker.record import Outcome, Record, State

STREAM = "dtmf:records"
_AT_ONCE = 200
_BLOCK_S = 1.0
_PAUSE_S = 0.5
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FINAL = [str(state) for state in State if state not in {State.QUEUED, State.SENDING}]


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of the stream: its id, its text, and the record that this is, if it can be read."""

    id: str
    text: str
    record: Record | None


def _seconds(_ctx: click.Context, _param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    number, unit = value[:-1], value[-1:]
    if not number.isdecimal() or unit not in _UNITS:
        raise click.BadParameter("expected a time such as 30s, 10m, 2h or 1d")
    return int(number) * _UNITS[unit]


@click.command()
@click.option("--last", type=click.IntRange(1), help="Begin with so many records that are there.")
@click.option("--since", callback=_seconds, help="Begin with the records of the last 30s, 10m, 2h or 1d.")
@click.option("--state", "states", multiple=True, type=click.Choice(_FINAL), help="This state alone; repeatable.")
@click.option("--no-follow", is_flag=True, help="Leave after the records that --last or --since begins with.")
@json_option
@plain_errors
def tail(*, last: int | None, since: float | None, states: tuple[str, ...], no_follow: bool, as_json: bool) -> None:
    """Show records of tasks as they end, a line each, until Ctrl-C.

    A line holds the time of the end, the state, how many digits were sent, the task's id, and the API's code or how
    long it took from enqueue. The lines of --json are records as docs/records.md describes them.
    """
    if last and since is not None:
        raise click.UsageError("--last and --since exclude each other")
    if no_follow and not last and since is None:
        raise click.UsageError("--no-follow needs --last or --since, or there is nothing to show")
    stream = _Stream(Settings.load(worker=False), frozenset(states or _FINAL))
    try:
        shown, place = stream.begin(last, since)
        for entry in shown:
            _show(entry, as_json=as_json)
        for entry in stream.follow(place, for_ever=not no_follow):
            _show(entry, as_json=as_json)
    except KeyboardInterrupt:
        return
    except RedisError as error:
        reason = explain(error)
    else:
        return
    raise QueueUnavailable(reason)


class _Stream:
    """The records in some states."""

    def __init__(self, settings: Settings, states: frozenset[str]) -> None:
        self._client: Any = client_of(settings, longer_s=_BLOCK_S)
        self._states = states

    def begin(self, last: int | None, since: float | None) -> tuple[list[_Entry], str]:
        """What is shown at once, oldest first, and the id of the entry after which to go on."""
        if since is not None:
            seconds, _ = self._client.time()
            return [], f"{max(0, int((seconds - since) * 1000))}-0"
        batch = self._backwards("+")
        place = batch[0].id if batch else "0"
        found: list[_Entry] = []
        while last and batch and len(found) < last:
            found += filter(self._is_wanted, batch)
            batch = self._backwards(f"({batch[-1].id}")
        return found[: last or 0][::-1], place

    def follow(self, place: str, *, for_ever: bool) -> Iterator[_Entry]:
        """What comes after an entry; for ever, also through an outage of Redis."""
        down = False
        while True:
            try:
                batch = self._after(place, wait=for_ever)
            except RedisError as error:
                if not (for_ever and may_pass(error)):
                    raise
                if not down:
                    click.echo(f"{explain(error)}; trying again", err=True)
                down = True
                time.sleep(_PAUSE_S)
                continue
            if down:
                click.echo("Redis is back", err=True)
            down = False
            yield from filter(self._is_wanted, batch)
            if batch:
                place = batch[-1].id
            elif not for_ever:
                return

    def _is_wanted(self, entry: _Entry) -> bool:
        return bool(entry.record and entry.record.state in self._states)

    def _backwards(self, start: str) -> list[_Entry]:
        return _entries(self._client.xrevrange(STREAM, start, "-", count=_AT_ONCE))

    def _after(self, place: str, *, wait: bool) -> list[_Entry]:
        block = int(_BLOCK_S * 1000) if wait else None
        answer = self._client.xread({STREAM: place}, count=_AT_ONCE, block=block) or ()
        # A map under RESP3, pairs under RESP2.
        batches = answer[STREAM] if isinstance(answer, dict) else [entries for _, entries in answer]
        return [entry for batch in batches for entry in _entries(batch)]


def _entries(answer: Any) -> list[_Entry]:
    return [_entry(entry, fields.get("record", "")) for entry, fields in answer]


def _entry(entry: str, text: str) -> _Entry:
    try:
        return _Entry(entry, text, Record.model_validate_json(text))
    except ValidationError:
        return _Entry(entry, text, None)


def _show(entry: _Entry, *, as_json: bool) -> None:
    if as_json:
        click.echo(entry.text)
    elif entry.record:
        print_line(_line(entry.record))


def _line(record: Record) -> Text:
    done = sum(digit.outcome in {Outcome.SENT, Outcome.PRESUMED} for digit in record.digits)
    return Text.assemble(
        f"{datetime.fromtimestamp(record.ended_at / 1000).astimezone():%H:%M:%S} ",
        (f"{record.state:<9}", state_style(record.state)),
        f" {f'{done}/{len(record.digits)}':>4} {record.id} {_reason(record)}",
    )


def _reason(record: Record) -> str:
    """Why it did not end well, where the state does not say it; else how long it took."""
    if record.broken_by:
        return str(record.error)
    return record.code or span(record.ended_at - record.enqueued_at)
