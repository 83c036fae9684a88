"""A rolling restart: workers are told to stop (SIGTERM) one after another, and started again."""

import time

from tests.fleet.harness import Ground, until
from tests.soak.load import Load, gaps_across, wait_for_work
from tests.soak.result import Result, percentile

NAME = "rolling restart"
SETTINGS: dict[str, object] = {"DTMF_CONCURRENCY": 24}
WORKERS = ("one", "two", "three")


def play(ground: Ground, seconds: float) -> Result:
    """Restart the whole fleet, and again and again for so many seconds."""
    result = Result()
    ground.start(*WORKERS)
    stops: list[tuple[float, float]] = []
    statuses: list[int] = []
    with Load(ground) as load:
        load.scene.rule(*load.lines, answer_after=[0.05, 0.25])
        until(lambda: load.heard() > len(load.lines), "digits heard")
        end = time.monotonic() + seconds
        while not stops or time.monotonic() < end:
            for name in WORKERS:
                wait_for_work(ground, load.lines, name)
                told_at = time.time()
                statuses.append(ground.worker(name).stop(timeout=30))
                stops.append((told_at, time.time()))
                ground.start(name)
    result.see("restarts", len(stops))
    result.take(load.verdict())
    gaps, channels = load.gaps(), {line.channel_id for line in load.lines}
    longest = [gap for told, gone in stops for gap in gaps_across(gaps, channels, told, gone + 1)]
    result.see("longest gap on a channel in a restart, p50", percentile(longest, 50), "s")
    result.see("longest gap on a channel in a restart, p99", percentile(longest, 99), "s", at_most=1)
    result.see("longest gap on a channel in a restart, longest", max(longest), "s")
    result.see("from SIGTERM to the end, longest", max(gone - told for told, gone in stops), "s", at_most=15)
    result.must(set(statuses) == {0}, f"workers ended with status {sorted(set(statuses))}")
    result.broken += ground.faults()
    return result
