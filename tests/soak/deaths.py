"""kill -9 of a random worker every few seconds under load; each is started again, as a platform would."""

import time

from tests.fleet.harness import Ground, dice, until
from tests.soak.load import Load, gaps_across, served_by, wait_for_work
from tests.soak.result import Result, percentile

NAME = "workers killed"
SETTINGS: dict[str, object] = {"DTMF_CONCURRENCY": 24}
WORKERS = ("one", "two", "three")
EVERY_S = 4.0


def play(ground: Ground, seconds: float) -> Result:
    """Kill for so many seconds, then let the fleet come to the end of its tasks."""
    result, chance = Result(), dice(5)
    ground.start(*WORKERS)
    kills: list[tuple[float, set[str]]] = []
    with Load(ground) as load:
        load.scene.rule(*load.lines, answer_after=[0.05, 0.25])
        until(lambda: load.heard() > len(load.lines), "digits heard")
        end = time.monotonic() + seconds
        while not kills or time.monotonic() < end:
            name = chance.choice(WORKERS)
            wait_for_work(ground, load.lines, name)
            ground.kill(name)
            killed_at = time.time()
            kills.append((killed_at, served_by(ground, load.lines, name)))
            ground.start(name)
            time.sleep(max(0.0, killed_at + EVERY_S * chance.uniform(0.5, 1.5) - time.time()))
    result.see("kills", len(kills))
    result.take(load.verdict())
    gaps = load.gaps()
    affected = [seconds for moment, channels in kills for seconds in gaps_across(gaps, channels, moment)]
    result.see("channels affected", len(affected))
    result.see("gap on an affected channel, p50", percentile(affected, 50), "s")
    result.see("gap on an affected channel, p99", percentile(affected, 99), "s", at_most=2)
    result.must(affected, "no worker was killed at work: the scenario shows nothing")
    result.broken += ground.faults()
    return result
