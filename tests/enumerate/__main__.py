"""`make enumerate`: case after case on all processors; how many there were, and the shortest broken promise.

`make enumerate ALL=1` plays every scene of every kind. `python -m tests.enumerate [--all] WORD` plays some kinds alone.
"""

import logging
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.enumerate.cases import Tally
from tests.enumerate.kinds import KINDS
from tests.enumerate.world import World, world_of
from worker.channel.server import connect
from worker.local.redis import LocalRedis

Job = tuple[int, int]
_WORLD: list[World] = []


@contextmanager
def a_world() -> Iterator[World]:
    """A world on a server of its own."""
    with tempfile.TemporaryDirectory() as folder, LocalRedis(Path(folder), appendonly="no") as server:
        client = connect(server.url, timeout=30)
        with world_of(client) as world:
            yield world
        client.close()


def play_jobs(
    jobs: "multiprocessing.Queue[Job | None]", results: "multiprocessing.Queue[tuple[str, float, Tally]]"
) -> None:
    """One process: play scenes until there are no more."""
    logging.disable(logging.CRITICAL)
    with a_world() as world:
        while job := jobs.get():
            kind = KINDS[job[0]]
            began = time.monotonic()
            tally = kind.play(world, kind.scenes[job[1]])
            results.put((kind.name, time.monotonic() - began, tally))


def main(wanted: str = "", *, every: bool = False) -> int:
    """Play the usual scenes, or every one, of all kinds, or of those whose name holds a word."""
    began = time.monotonic()
    jobs: multiprocessing.Queue[Job | None] = multiprocessing.Queue()
    results: multiprocessing.Queue[tuple[str, float, Tally]] = multiprocessing.Queue()
    kinds = [(number, kind) for number, kind in enumerate(KINDS) if wanted in kind.name]
    chosen = {number: set(kind.scenes if every else kind.usual) for number, kind in kinds}
    all_jobs = [(k, s) for k, kind in kinds for s, scene in enumerate(kind.scenes) if scene in chosen[k]]
    processes = [
        multiprocessing.Process(target=play_jobs, args=(jobs, results), daemon=True) for _ in range(os.cpu_count() or 1)
    ]
    for process in processes:
        process.start()
    for job in [*all_jobs, *[None] * len(processes)]:
        jobs.put(job)
    total, times = Tally(), Counter[str]()
    scenes = Counter[str]()
    for number, _ in enumerate(all_jobs, start=1):
        name, took, tally = results.get()
        total.add(tally)
        scenes[name] += 1
        times[name] += int(took * 1000)
        if sys.stderr.isatty():
            print(f"{number} of {len(all_jobs)} scenes, {total.broken} broken", end="\r", file=sys.stderr)
    for process in processes:
        process.join()
    show(total, scenes, times)
    print(f"{total.cases.total():,} cases in {time.monotonic() - began:.0f} s on {len(processes)} processors")
    if total.broken:
        print(f"\n{total.broken} broke a promise. The shortest:\n{total.story}")
    return 1 if total.broken else 0


def show(total: Tally, scenes: Counter[str], times: Counter[str]) -> None:
    """The table."""
    print(f"{'what happens, at every moment':45} {'scenes':>7} {'cases':>8} {'s':>6}")
    for kind in KINDS:
        if kind.name in scenes:
            cases = total.cases[kind.name]
            print(f"{kind.name:45} {scenes[kind.name]:7,} {cases:8,} {times[kind.name] / 1000:6.0f}")
    print("\nDocumented limits that showed, in so many cases:")
    for limit, cases in sorted(total.limits.items()):
        print(f"  {limit}: {cases:,}")
    print()


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--all"]
    sys.exit(main(*words[:1], every="--all" in sys.argv))
