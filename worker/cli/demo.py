"""`dtmf demo`."""

import shutil
import signal
import sys
import tempfile
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from worker.cli.output import ODD, console, plain_errors
from worker.demo.play import Played, play, stage
from worker.demo.verdict import Verdict

_MOST_LINES = 10


@click.command()
@click.option("--keep", is_flag=True, help="Keep the folder with the logs and the server's data.")
@plain_errors
def demo(*, keep: bool) -> None:
    """Play the main job on this machine: an embedded Redis, the simulator, two workers, one of them killed.

    Nothing leaves the machine. The verdict is taken from the simulator's own log. Exit status 1 if a promise was
    broken.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="dtmf-demo-"))
    try:
        played = _play(folder)
    except KeyboardInterrupt:
        console.print("stopped; every process of the demo has ended")
        sys.exit(130)
    finally:
        if keep:
            console.print(f"logs and data: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    _show(played)
    sys.exit(1 if played.verdict.broken else 0)


def _play(folder: Path) -> Played:
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with stage(folder, console.print) as on, Progress(*columns, console=console) as bars:
        enqueued = bars.add_task("enqueued", total=None)
        ended = bars.add_task("ended", total=None)

        def progress(total: int, in_queue: int, over: int) -> None:
            bars.update(enqueued, total=total, completed=in_queue)
            bars.update(ended, total=total, completed=over)

        return play(on, progress, bars.console.print)


def _show(played: Played) -> None:
    verdict = played.verdict
    counts = Table("what the simulator heard", "", box=None, header_style="bold")
    counts.add_row("channels", str(played.channels))
    counts.add_row("digits enqueued", str(verdict.enqueued))
    counts.add_row("digits heard", str(verdict.heard))
    for name, faults in _promises(verdict):
        counts.add_row(name, str(len(faults)), style="bold red" if faults else "green")
    states = ", ".join(f"{number} {state}" for state, number in sorted(verdict.states.items()))
    if verdict.limits:
        counts.add_row("presumed wrongly (a known limit)", str(len(verdict.limits)), style=ODD)
    console.print()
    console.print(counts)
    console.print(f"\ntasks by state: {states}; {played.refused} refused (their line was broken)")
    p50, p95, p99 = (verdict.percentile(percent) * 1000 for percent in (50, 95, 99))
    console.print(f"from enqueue to heard: p50 {p50:.0f} ms, p95 {p95:.0f} ms, p99 {p99:.0f} ms")
    silences = played.silences
    if silences:
        console.print(
            f"after the kill, {len(silences)} channels had digits to come; the next digit was heard after "
            f"{silences[len(silences) // 2]:.2f} s (median), {silences[-1]:.2f} s (longest)"
        )
    for line in verdict.broken[:_MOST_LINES]:
        console.print(line, style="red")
    console.print()
    if verdict.broken:
        console.print(f"A promise was broken {len(verdict.broken)} times.", style="bold red")
    else:
        console.print("Every promise held: in order, once, nothing lost, in time.", style="bold green")


def _promises(verdict: Verdict) -> list[tuple[str, list[str]]]:
    return [
        ("out of order", verdict.out_of_order),
        ("doubled", verdict.doubled),
        ("lost", verdict.lost),
        ("heard after the deadline", verdict.late),
        ("recorded otherwise than heard", verdict.false),
    ]
