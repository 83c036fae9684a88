"""`dtmf channel`."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click
from rich.table import Table

from worker.cli import door
from worker.cli.arguments import channel_argument, json_option, reveal_option
from worker.cli.output import console, count, facts, plain_errors, span

if TYPE_CHECKING:
    from worker.channel.look import ChannelSeen, TaskSeen
    from worker.task import Payload


_UUID = 36
# So late a sweeper may be.
_SWEEP_MS = 2000


@click.command()
@click.option("--most", default=20, show_default=True, type=click.IntRange(1), help="List so many tasks at the most.")
@json_option
@reveal_option
@channel_argument
@plain_errors
def channel(channel: str, *, most: int, as_json: bool, reveal: bool) -> None:
    """Show who serves CHANNEL, what waits on it, and what holds it up.

    CHANNEL is a channel id, its digest, or - for a line of standard input.
    """
    if as_json and reveal:
        raise click.UsageError("--json never holds digits or phone numbers; leave --reveal or --json out")
    seen = door.door().ask(lambda queue: queue.look(channel, most))
    if as_json:
        click.echo(json.dumps(asdict(seen), indent=2))
        return
    _show(seen, door.reveal([task.id for task in seen.tasks]) if reveal else None)


def _show(seen: "ChannelSeen", payloads: dict[str, "Payload"] | None) -> None:
    lines = [("channel", seen.ch)]
    if payloads:
        first = next(iter(payloads.values()))
        lines += [("channel id", first.channel_id)]
    console.print(facts([*lines, *_lines(seen)]))
    if not seen.tasks:
        return
    console.print()
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    # Whole, to be copied; only an id of the producer's own that is longer is folded.
    table.add_column("task", no_wrap=all(len(task.id) <= _UUID for task in seen.tasks), overflow="fold")
    for name in ("digits", "sent", "age", "deadline"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("keys" if payloads is not None else "", overflow="fold")
    for task in seen.tasks:
        note = _note(task)
        if payloads is not None:
            note = payloads[task.id].keys if task.id in payloads else "(it has just ended)"
        deadline = span(task.left_ms) if task.left_ms > 0 else "over"
        table.add_row(task.id, str(task.digits), str(task.settled), span(task.age_ms), deadline, note)
    console.print(table)
    if seen.waiting > len(seen.tasks):
        console.print(f"and {seen.waiting - len(seen.tasks)} more")


def _lines(seen: "ChannelSeen") -> Iterator[tuple[str, str]]:
    yield "served by", _served_by(seen)
    mark = seen.mark
    if mark:
        yield "on its way", f"digit {mark.digit} of task {mark.task}"
        doubt = ", in doubt: an earlier copy may exist" if mark.doubt else ""
        yield "", f"attempt {mark.attempt}, for {span(mark.for_ms)}{doubt}"
    if seen.paused_ms is not None:
        yield "paused", f"for {span(seen.paused_ms)}, until dtmf resume"
    if seen.broken:
        broken = seen.broken
        yield "broken by", f"task {broken.task} ({broken.code})"
        yield "", f"{span(broken.for_ms)} ago; no new tasks for {span(broken.left_ms)}, or until dtmf resume"
    if seen.hold_ms:
        yield "held", f"for {span(seen.hold_ms)}: a digit of unknown fate may still arrive"
    if seen.pause_ms:
        yield "next digit", f"not before {span(seen.pause_ms)}"
    yield "waiting", count(seen.waiting, "task")


def _served_by(seen: "ChannelSeen") -> str:
    run = seen.run
    if run and run.live:
        return f"{run.worker or 'a worker'}, for {span(run.for_ms)}"
    if run and run.lease_ms < 0:
        return f"nobody; {run.worker or 'a worker'} has been silent since its lease ran out {span(-run.lease_ms)} ago"
    if run:
        return f"nobody; Redis has restarted since {run.worker or 'a worker'} had it"
    if not seen.waiting:
        return "nobody; nothing waits"
    if seen.due_ms is None or seen.due_ms < -_SWEEP_MS:
        return "nobody; a sweeper is overdue: does a worker run?"
    return f"nobody; a sweeper looks at it in {span(seen.due_ms)}"


def _note(task: "TaskSeen") -> str:
    notes = {
        "cancelled": task.cancelled,
        "goes on": task.go_on,
        "in doubt": task.doubt,
    }
    return ", ".join(note for note, there in notes.items() if there)
