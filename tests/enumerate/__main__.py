"""`make enumerate`: case after case on all processors; how many there were, and the shortest broken promise.

`make enumerate ALL=1` plays every scene of every kind. `python -m tests.enumerate [--all] WORD` plays some kinds alone.
"""

import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.enumerate.cases import Known, Tally
from tests.enumerate.kinds import KINDS, Kind
from tests.enumerate.world import World, world_of
from worker.channel.server import connect
from worker.local.redis import LocalRedis

# A kind by its number, and some of its scenes by theirs.
Job = tuple[int, list[int]]
Result = tuple[Job, float, "Tally"]


@contextmanager
def a_world() -> Iterator[World]:
    """A world on a server of its own."""
    with tempfile.TemporaryDirectory() as folder, LocalRedis(Path(folder), appendonly="no") as server:
        client = connect(server.url, timeout=30)
        with world_of(client) as world:
            yield world
        client.close()


def play_jobs(jobs: "multiprocessing.Queue[Job | None]", results: "multiprocessing.Queue[Result]") -> None:
    """One process: play scenes until there are no more."""
    logging.disable(logging.CRITICAL)
    _end_in_order()
    known = Known()
    with a_world() as world:
        while job := jobs.get():
            kind = KINDS[job[0]]
            began, total = time.monotonic(), Tally()
            for scene in job[1]:
                total.add(kind.play(world, kind.scenes[scene], known))
            results.put((job, time.monotonic() - began, total))


def _end_in_order() -> None:
    """When told to end, stop the servers as well."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def jobs_of(number: int, kind: Kind, *, every: bool) -> list[Job]:
    """The scenes of a kind: each a job; where cases that are alike are played once, those with the same outcome."""
    chosen = set(kind.scenes if every else kind.usual)
    groups: dict[object, list[int]] = {}
    for place, scene in enumerate(kind.scenes):
        if scene in chosen:
            groups.setdefault(scene.outcome if kind.once else place, []).append(place)
    return [(number, group) for group in groups.values()]


def main(wanted: str = "", *, every: bool = False) -> int:
    """Play the usual scenes, or every one, of all kinds, or of those whose name holds a word."""
    _end_in_order()
    began = time.monotonic()
    kinds = [(number, kind) for number, kind in enumerate(KINDS) if wanted in kind.name]
    jobs = [job for number, kind in kinds for job in jobs_of(number, kind, every=every)]
    # The longest first, so that all processors are busy to the end.
    jobs.sort(key=lambda job: len(job[1]), reverse=True)
    rows = {kind.name: Row() for _, kind in kinds}
    total = Tally()
    for (number, scenes), took, tally in track(results_of(jobs), "cases", len(jobs), console=Console(stderr=True)):
        row = rows[KINDS[number].name]
        row.scenes, row.seconds = row.scenes + len(scenes), row.seconds + took
        row.tally.add(tally)
        total.add(tally)
    show(rows, total)
    seconds = time.monotonic() - began
    print(f"{total.cases:,} cases, {total.played:,} of them played, in {seconds:.0f} s on {processors()} processors")
    if total.broken:
        print(f"\n{total.broken} broke a promise. The shortest:\n{total.story}")
    return 1 if total.broken else 0


def processors() -> int:
    """How many there are."""
    return os.cpu_count() or 1


def results_of(jobs: list[Job]) -> Iterator[Result]:
    """Play jobs on all processors."""
    waiting: multiprocessing.Queue[Job | None] = multiprocessing.Queue()
    results: multiprocessing.Queue[Result] = multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=play_jobs, args=(waiting, results), daemon=True) for _ in range(processors())
    ]
    for process in processes:
        process.start()
    for job in [*jobs, *[None] * len(processes)]:
        waiting.put(job)
    for _ in jobs:
        yield results.get()
    for process in processes:
        process.join()


@dataclass
class Row:
    """What came of a kind."""

    scenes: int = 0
    seconds: float = 0
    tally: Tally = field(default_factory=Tally)


def show(rows: dict[str, Row], total: Tally) -> None:
    """The tables."""
    table = Table("what happens, at every moment", "scenes", "cases", "played", "s")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, row in rows.items():
        tally = row.tally
        table.add_row(name, f"{row.scenes:,}", f"{tally.cases:,}", f"{tally.played:,}", f"{row.seconds:.0f}")
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    console.print("Documented limits that showed, in so many of the cases that were played:")
    for limit, cases in sorted(total.limits.items()):
        console.print(f"  {limit}: {cases:,}", markup=False)
    console.print()


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--all"]
    sys.exit(main(*words[:1], every="--all" in sys.argv))
