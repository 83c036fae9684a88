"""A limit of the fleet's own, and a quota of the API that it must find: kept, used up, and shared by all channels."""

import time
from collections import Counter
from itertools import pairwise
from typing import Any

from tests.fleet.harness import Ground, Line, until
from tests.soak.load import Load
from tests.soak.result import Result
from worker.record import State

NAME = "throttling"
SETTINGS: dict[str, object] = {"DTMF_CONCURRENCY": 24}
WORKERS = ("one", "two")
RATE = 50
ASKED_MS = 200
# So long the fleet may take to find the quota; what it does before that is shown, but not held to the limits.
FIND_S = 5.0
# The clocks of Redis (whole ms), worker and simulator are read at slightly different places.
SLACK_S = 0.02
Event = dict[str, Any]


def play(ground: Ground, seconds: float) -> Result:
    """Half of the time under the fleet's own limit, half of it under the API's quota, which is then lifted."""
    result = Result()
    _keep_the_limit(result, ground, seconds / 2)
    _find_the_quota(result, ground, seconds / 2)
    result.broken += ground.faults()
    return result


def _load(ground: Ground) -> Load:
    return Load(ground, lines=[Line.new() for _ in range(20)], depth=2, digits=2)


def _keep_the_limit(result: Result, ground: Ground, seconds: float) -> None:
    ground.start(*WORKERS, DTMF_RATE_PER_SECOND=RATE)
    with _load(ground) as load:
        load.scene.rule(*load.lines, answer_after=[0.02, 0.06])
        until(lambda: load.heard() >= RATE, "the line moves")
        began = time.time()
        time.sleep(seconds)
        ended = time.time()
    result.take(load.verdict())
    times = [float(event["executed_at"]) for event in load.scene.heard()]
    most = max(sum(start <= moment < start + 1 for moment in times) for start in times)
    result.see("own limit", RATE, "/s")
    result.see("own limit: most digits in a second", most, at_most=RATE * 1.2)
    _see_goodput(result, "own limit", load, began, ended)
    # Digits that were let go in time may bunch up on the way through a busy machine, but not half of them.
    least = (len(times) - 1) / RATE / 2
    result.must(max(times) - min(times) >= least, f"{len(times)} digits took less than {least:.1f} s")
    for name in WORKERS:
        ground.worker(name).stop()


def _find_the_quota(result: Result, ground: Ground, seconds: float) -> None:
    ground.start(*WORKERS)
    with _load(ground) as load:
        load.scene.rule(*load.lines, answer_after=[0.02, 0.06])
        load.scene.rule(*load.lines, throttle={"rate": RATE, "retry_after_ms": ASKED_MS})
        until(lambda: _throttled(_requests(load)), "a throttled digit")
        time.sleep(min(FIND_S, seconds / 2))
        began = time.time()
        time.sleep(seconds)
        ended = time.time()
        load.scene.control.set_scene()
        load.scene.rule(*load.lines, answer_after=[0.02, 0.06])
        freed = time.time()
        until(lambda: _heard_since(load, time.time() - 1) > 2 * RATE, "the fleet is quick again")
        result.see("quota lifted: until twice as many digits a second", time.time() - freed, "s", at_most=20)
    # A stalled machine can make a request time out; throttled when sent again, it has to end as unknown (protocol.md).
    result.take(load.scene.verdict(timeout=120))
    result.see("quota: tasks of unknown fate", load.scene.verdict().states.get(State.UNKNOWN, 0), at_most=0)
    requests = _requests(load)
    while_on = [event for event in requests if began <= event["received_at"] < ended]
    share = 100 * len(_throttled(while_on)) / len(while_on)
    result.see("quota", RATE, "/s")
    result.see("quota: requests throttled", share, "%", at_most=5)
    _see_goodput(result, "quota", load, began, ended)
    hasty = _hasty(requests)
    result.must(not hasty, f"{hasty} throttled digits were sent again before the {ASKED_MS} ms that the API asked for")


def _see_goodput(result: Result, what: str, load: Load, began: float, ended: float) -> None:
    """How much of the rate was used, and how evenly the channels shared it."""
    channels = Counter(event["channel_id"] for event in load.scene.heard() if began <= event["executed_at"] < ended)
    result.see(f"{what}: goodput", 100 * channels.total() / (ended - began) / RATE, "%", at_least=95)
    least = min(channels[line.channel_id] for line in load.lines)
    share = 100 * least * len(load.lines) / max(1, channels.total())
    result.see(f"{what}: the slowest channel, of its fair share", share, "%", at_least=50)
    gaps = [gap.seconds for gap in load.gaps() if gap.began >= began and gap.ended < ended]
    result.see(f"{what}: longest gap on a channel", max(gaps, default=0.0), "s", at_most=3)


def _requests(load: Load) -> list[Event]:
    channels = {line.channel_id for line in load.lines}
    events = load.scene.control.requests(load.scene.since_requests)
    return [event for event in events if event["channel_id"] in channels]


def _throttled(events: list[Event]) -> list[Event]:
    return [event for event in events if event["code"].startswith("Throttling")]


def _heard_since(load: Load, moment: float) -> int:
    return sum(event["executed_at"] > moment for event in load.scene.heard())


def _hasty(requests: list[Event]) -> int:
    """How many throttled digits came again too soon."""
    by_channel: dict[str, list[Event]] = {}
    for event in sorted(requests, key=lambda event: float(event["received_at"])):
        by_channel.setdefault(event["channel_id"], []).append(event)
    return sum(
        bool(_throttled([sooner])) and later["received_at"] < sooner["received_at"] + ASKED_MS / 1000 - SLACK_S
        for events in by_channel.values()
        for sooner, later in pairwise(events)
    )
