"""What stays behind in Redis: nothing for ever but a counter and the stream, and no payload anywhere."""

import pytest
from redis import Redis

from tests.channel.desk import CH, PAYLOAD, Desk
from worker.channel.steps import Verdict

FOR_EVER = {"dtmf:records", "dtmf:waiting"}


def leftovers(desk: Desk) -> set[str]:
    """Keys that stay for ever, but for the two that may."""
    return {key for key in desk.redis.keys("*") if desk.redis.pttl(key) == -1} - FOR_EVER


def settle_all(desk: Desk) -> None:
    """The sweeper has looked everywhere."""
    for ch in desk.redis.zrange("dtmf:due", 0, -1):
        desk.sweep_due(ch)
    assert desk.sweep(100) == []


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_channel_that_was_served_leaves_only_what_expires(desk: Desk, verdict: Verdict) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2")
    step = desk.settle("r1", desk.claim("r1"), verdict, pause=0, error="E", code="C")
    while desk.waiting():
        step = desk.settle("r1", step, Verdict.OK, answer="encrypted")
    assert leftovers(desk) == set()
    assert desk.redis.get("dtmf:waiting") == "0"
    assert desk.due() is None


def test_an_idle_channel_is_forgotten_once_its_pause_its_hold_and_its_break_are_over(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.claim("r1"), Verdict.OK)
    assert 0 < desk.redis.pttl(f"dtmf:ch:{CH}") <= 1000
    desk.enqueue("t2")
    assert desk.redis.pttl(f"dtmf:ch:{CH}") == -1
    desk.settle("r1", desk.claim("r1"), Verdict.UNKNOWN, error="E", pause=5000)
    left = desk.redis.pttl(f"dtmf:ch:{CH}")
    assert desk.limits.break_ - 20_000 < left <= desk.limits.break_


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.UNKNOWN])
def test_a_pause_or_a_hold_is_remembered_for_as_long_as_it_lasts(desk: Desk, verdict: Verdict) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.claim("r1"), verdict, pause=100_000, error="TaskUnknown")
    assert 50_000 < desk.redis.pttl(f"dtmf:ch:{CH}") <= 100_000


def test_a_task_cancelled_before_any_run_came_leaves_nothing(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.claim("r1"), Verdict.OK)
    desk.enqueue("t2")
    desk.queue.cancel("t2")
    settle_all(desk)
    assert leftovers(desk) == set()


def test_a_task_cancelled_in_a_long_pause_leaves_nothing(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.settle("r1", desk.claim("r1"), Verdict.OK, pause=20_000)
    desk.queue.cancel("t1")
    settle_all(desk)
    assert leftovers(desk) == set()
    assert desk.enqueue("t2")[:2] == ["BROKEN", "t1"]


def test_a_task_cancelled_while_nobody_found_a_slot_leaves_nothing(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.sweep_due()
    desk.sweep(10)
    desk.queue.cancel("t1")
    settle_all(desk)
    assert leftovers(desk) == set()


def test_a_channel_whose_run_died_after_the_last_task_was_cancelled_leaves_nothing(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.settle("r1", desk.claim("r1"), Verdict.OK, pause=500)
    desk.queue.cancel("t1")
    desk.lease_over()
    settle_all(desk)
    assert leftovers(desk) == set()


def test_a_paused_channel_is_not_kept_for_ever(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.queue.pause(CH)
    desk.queue.cancel("t1")
    settle_all(desk)
    assert leftovers(desk) == set()
    assert desk.redis.pttl(f"dtmf:ch:{CH}") > desk.limits.record_ttl / 2
    desk.queue.pause("another")
    assert leftovers(desk) == set()


def test_a_late_message_leaves_nothing(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.queue.cancel("t1")
    desk.claim("r1")
    settle_all(desk)
    assert leftovers(desk) == set()


def test_records_are_kept_as_long_as_they_should_be(redis_client: Redis) -> None:
    desk = Desk(redis_client, record_ttl=100_000)
    desk.enqueue("t1")
    desk.queue.cancel("t1")
    assert 0 < desk.redis.pttl("dtmf:rec:t1") <= 100_000


def test_the_stream_drops_records_that_are_older(redis_client: Redis) -> None:
    """It is trimmed in whole blocks of a hundred, so a few that are too old may stay."""
    desk = Desk(redis_client, record_ttl=1)
    for i in range(1000):
        desk.enqueue(f"t{i}")
        desk.queue.cancel(f"t{i}")
    assert desk.redis.xlen("dtmf:records") < 500


def test_the_stream_keeps_records_that_are_younger(desk: Desk) -> None:
    for i in range(300):
        desk.enqueue(f"t{i}")
        desk.queue.cancel(f"t{i}")
    assert desk.redis.xlen("dtmf:records") == 300


def test_the_payload_stands_in_one_place_and_goes_with_its_task(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.settle("r1", desk.claim("r1"), Verdict.OK, answer="encrypted")
    assert holders(desk) == ["dtmf:p:t1"]
    desk.queue.cancel("t1")
    desk.settle("r1", desk.claim("r1"), Verdict.OK)
    assert holders(desk) == []


def holders(desk: Desk) -> list[str]:
    """The keys in which the payload stands."""
    read = {
        "hash": desk.redis.hgetall,
        "list": lambda key: desk.redis.lrange(key, 0, -1),
        "stream": desk.redis.xrange,
        "zset": lambda key: desk.redis.zrange(key, 0, -1),
        "string": desk.redis.get,
    }
    return [key for key in desk.redis.keys("*") if PAYLOAD in str(read[desk.redis.type(key)](key))]
