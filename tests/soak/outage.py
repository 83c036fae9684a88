"""What the scenarios of Redis share: how long after an outage every channel hears digits again."""

import time

from redis.exceptions import RedisError

from tests.fleet.harness import Ground, until
from tests.soak.load import Load
from tests.soak.result import Result, percentile

WORKERS = ("one", "two")
# Celery prints a traceback, and CRITICAL, of its own whenever it loses its broker.
_FAULTS = ("thread.failed", "run.failed", "unexpected error", "Unrecoverable")
PATIENCE_S = 60.0


def works_again(load: Load, since: float) -> float:
    """Wait until every channel has heard a digit since a moment (s since 1970); the seconds that the last one took."""
    channels = {line.channel_id for line in load.lines}
    before = len(load.scene.control.heard(load.scene.since_heard)) + load.scene.since_heard

    def all_of_them() -> dict[str, float]:
        first: dict[str, float] = {}
        for event in load.scene.control.heard(max(load.scene.since_heard, before - 2000)):
            if event["executed_at"] > since and event["channel_id"] in channels:
                first.setdefault(event["channel_id"], event["executed_at"] - since)
        return first if len(first) == len(channels) else {}

    return max(until(all_of_them, "a digit on every channel after the outage", PATIENCE_S).values())


def see_producers(result: Result, load: Load) -> None:
    """What the producer of a load was told; whether an accepted task was lost, the verdict says."""
    result.see("enqueues accepted", len(load.sent))
    result.see("enqueues refused", sum(load.refused.values()))
    result.see("enqueues left unclear, made again", load.unclear)
    result.see("longest call of the producer", load.slowest, "s", at_most=10)


def see_recoveries(result: Result, seconds: list[float]) -> None:
    """From the end of each outage until every channel heard a digit."""
    result.see("outages", len(seconds))
    result.see("until every channel hears digits again, p50", percentile(seconds, 50), "s")
    result.see("until every channel hears digits again, longest", max(seconds), "s", at_most=10)


def answers(ground: Ground) -> bool:
    """Whether the server answers."""
    try:
        return bool(ground.client.ping())
    except RedisError:
        return False


def wait_for_server(ground: Ground) -> float:
    """Wait until it does; the moment."""
    until(lambda: answers(ground), "an answer of Redis", PATIENCE_S)
    return time.time()


def see_workers(result: Result, ground: Ground) -> None:
    """Every worker outlived the outages, without a fault of ours in its log."""
    ended = [name for name in ground.names if ground.worker(name).exit_status is not None]
    result.must(not ended, f"workers ended: {ended}")
    result.broken += [line for line in ground.logs().splitlines() if any(fault in line for fault in _FAULTS)]
