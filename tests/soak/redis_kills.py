"""Redis is killed (kill -9) and started again under load, with appendfsync always: nothing is lost or doubled."""

import time

from tests.fleet.harness import Ground, dice, until
from tests.soak.load import Load
from tests.soak.outage import WORKERS, see_producers, see_recoveries, see_workers, wait_for_server, works_again
from tests.soak.result import Result
from worker.record import State

NAME = "Redis killed, appendfsync always"
SETTINGS: dict[str, object] = {"DTMF_CONCURRENCY": 24, "fsync": "always"}


def play(ground: Ground, seconds: float) -> Result:
    """Kill it again and again, for 0 to 10 s (a tenth of the time at the most)."""
    result, chance = Result(), dice(7)
    ground.start(*WORKERS)
    recoveries: list[float] = []
    with Load(ground) as load:
        load.scene.rule(*load.lines, answer_after=[0.05, 0.25])
        until(lambda: load.heard() > len(load.lines), "digits heard")
        end = time.monotonic() + seconds
        while not recoveries or time.monotonic() < end:
            ground.redis.kill()
            time.sleep(chance.uniform(0, max(1, min(10, seconds / 5))))
            ground.redis.start()
            recoveries.append(works_again(load, wait_for_server(ground)))
            time.sleep(chance.uniform(0, 1))
    result.take(load.verdict())
    see_recoveries(result, recoveries)
    see_producers(result, load)
    states = load.scene.states() - {State.SENT, State.PRESUMED}
    result.must(not states, f"tasks ended as {sorted(states)}")
    see_workers(result, ground)
    return result
