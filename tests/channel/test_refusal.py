"""refuse: while the API refuses the account or the clock, requests pause, but for a probe now and then."""

from typing import Any

import pytest
from redis import Redis

from tests.channel.desk import CH, Desk, place, sent_on
from worker.channel.steps import Left, Verdict

CODE = "InvalidAccessKeyId.NotFound"
OTHER = "d" * 32
PROBES_MS = (250, 500, 1000, 2000, 4000, 4000, 4000)


@pytest.fixture
def paused(redis_client: Redis) -> Desk:
    """A desk on which a task waits on each of two channels, and the API refuses every request."""
    desk = Desk(redis_client)
    for task, ch in (("t1", CH), ("t2", OTHER)):
        desk.enqueue(task, ch=ch, n=2)
    assert desk.queue.refuse(CODE, probe=False)
    return desk


def probe_due(desk: Desk) -> None:
    desk.redis.hset("dtmf:refusal", "probe_at", 1)


def next_probe_in(desk: Desk) -> int:
    return int(desk.redis.hget("dtmf:refusal", "probe_at")) - int(desk.now())


def waits(step: Any) -> bool:
    return not hasattr(step, "mark")


def test_the_first_refusal_raises_the_alarm_and_no_other(desk: Desk) -> None:
    assert desk.queue.refuse(CODE, probe=False)
    assert not desk.queue.refuse(CODE, probe=False)
    assert not desk.queue.refuse(CODE, probe=True)


def test_another_fault_raises_an_alarm_of_its_own(paused: Desk) -> None:
    assert paused.queue.refuse("InvalidTimeStamp.Expired", probe=True)


def test_no_channel_sends_while_requests_pause(paused: Desk) -> None:
    assert waits(paused.claim("r1"))
    assert waits(paused.claim("r2", ch=OTHER))


def test_one_digit_at_a_time_is_let_through_to_try(paused: Desk) -> None:
    probe_due(paused)
    assert sent_on(paused.claim("r1")).probe
    assert waits(paused.claim("r2", ch=OTHER))


def test_a_probe_that_is_accepted_ends_the_pause(paused: Desk) -> None:
    probe_due(paused)
    step = paused.settle("r1", paused.claim("r1"), Verdict.OK)
    assert (place(step), sent_on(step).probe) == (("t1", 2, 1), False)
    assert sent_on(paused.claim("r2", ch=OTHER))
    assert paused.queue.refusal() is None


def test_a_probe_that_fails_for_a_reason_of_its_own_ends_the_pause(paused: Desk) -> None:
    probe_due(paused)
    paused.settle("r1", paused.claim("r1"), Verdict.FAILED, error="Gone", code="NotExists.JobId", gone=True)
    assert paused.queue.refusal() is None


def test_a_probe_whose_nonce_was_used_up_before_ends_the_pause(paused: Desk) -> None:
    """The API got as far as to look at its nonce."""
    probe_due(paused)
    paused.settle("r1", paused.claim("r1"), Verdict.RETRY, code="SignatureNonceUsed", nonce_used=True)
    assert paused.queue.refusal() is None


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.UNKNOWN])
def test_a_probe_that_says_nothing_of_the_account_ends_nothing(paused: Desk, verdict: Verdict) -> None:
    probe_due(paused)
    paused.settle("r1", paused.claim("r1"), verdict, code="InternalError")
    assert paused.queue.refusal() is not None


def test_an_answer_to_a_digit_that_was_no_probe_ends_nothing(desk: Desk) -> None:
    """It was executed before the account was refused."""
    desk.enqueue("t1")
    step = desk.claim("r1")
    desk.queue.refuse(CODE, probe=False)
    desk.settle("r1", step, Verdict.OK)
    assert desk.queue.refusal() is not None


def test_probes_come_soon_and_then_ever_later(paused: Desk) -> None:
    seen = [next_probe_in(paused)]
    for _ in range(6):
        paused.queue.refuse(CODE, probe=True)
        seen.append(next_probe_in(paused))
    # Time passes between a refusal and the look at it.
    assert all(longest - 200 < ms <= longest for ms, longest in zip(seen, PROBES_MS, strict=True))


def test_a_probe_whose_run_dies_is_followed_by_another(paused: Desk) -> None:
    probe_due(paused)
    paused.claim("dead")
    probe_due(paused)
    assert sent_on(paused.claim("r2", ch=OTHER)).probe


def test_a_dead_runs_probe_that_its_successor_settles_ends_the_pause(paused: Desk) -> None:
    probe_due(paused)
    paused.claim("dead")
    paused.lease_over()
    found = sent_on(paused.claim("r2"))
    assert (found.doubt, found.probe) == (True, True)
    paused.settle("r2", found, Verdict.PRESUMED)
    assert paused.queue.refusal() is None


def test_tasks_keep_their_deadlines(paused: Desk) -> None:
    paused.deadline_over("t1")
    assert paused.claim("r1") is Left.EMPTY
    assert paused.settled() == [("t1", "expired")]
    assert paused.record("t1").code == CODE


def test_a_channel_that_waits_comes_back_for_the_probe_or_the_deadline(paused: Desk) -> None:
    for _ in range(6):
        paused.queue.refuse(CODE, probe=True)
    before = paused.now()
    assert paused.claim("r1") is Left.LATER
    due = paused.due()
    assert due is not None
    assert before + 3000 < due < before + 5000


def test_an_account_that_is_refused_now_and_then_raises_one_alarm(paused: Desk) -> None:
    for _ in range(3):
        probe_due(paused)
        step = paused.claim("r1")
        step = paused.settle("r1", step, Verdict.RETRY, code=CODE)
        assert not paused.queue.refuse(CODE, probe=False)
        paused.pause_over()
    paused.redis.hset("dtmf:refusal", f"alarmed:{CODE}", 1)
    paused.redis.hdel("dtmf:refusal", "since", "delay", "probe_at")
    assert paused.queue.refuse(CODE, probe=False)


def test_how_long_requests_pause_can_be_asked(paused: Desk) -> None:
    refusal = paused.queue.refusal()
    assert refusal is not None
    assert refusal[0] == CODE
    assert 0 <= refusal[1] < 60_000


def test_it_is_forgotten_when_nobody_tries_any_more(paused: Desk) -> None:
    assert 0 < paused.redis.pttl("dtmf:refusal") <= 3_600_000
