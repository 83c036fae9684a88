"""Gaps, pauses, leads, back-off and the rate limit: short waits are sat out, long ones hold no worker's slot."""

import pytest
from redis import Redis

from tests.channel.desk import CH, Desk, place, sent_on, waited
from worker.channel.steps import Left, Verdict, Wait


@pytest.fixture
def patient(redis_client: Redis) -> Desk:
    """Its short waits are long enough for a busy machine."""
    return Desk(redis_client, step_wait=30_000)


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.PRESUMED, Verdict.RETRY])
def test_a_short_pause_is_sat_out_and_marks_nothing(patient: Desk, verdict: Verdict) -> None:
    patient.enqueue("t1", n=2)
    ms = waited(patient.settle("r1", patient.claim("r1"), verdict, pause=30_000))
    assert 0 < ms <= 30_000
    assert patient.channel()["token"] == "r1"
    assert "task" not in patient.channel()
    assert 0 < waited(patient.claim("r1")) <= ms
    patient.pause_over()
    assert not sent_on(patient.claim("r1")).doubt


@pytest.mark.parametrize("verdict", [Verdict.OK, Verdict.PRESUMED, Verdict.RETRY])
def test_a_long_pause_lets_the_channel_go_until_it_is_over(desk: Desk, verdict: Verdict) -> None:
    desk.enqueue("t1", n=2)
    before = desk.now()
    assert desk.settle("r1", desk.claim("r1"), verdict, pause=20_000) is Left.LATER
    assert "token" not in desk.channel()
    due = desk.due()
    assert due is not None
    assert before + 20_000 <= due <= desk.now() + 20_000
    assert desk.claim("r2") is Left.LATER
    desk.pause_over()
    assert not sent_on(desk.claim("r2")).doubt


def test_a_pause_ends_by_itself(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.settle("r1", desk.claim("r1"), Verdict.OK, pause=30)
    while isinstance(step := desk.claim("r1"), Wait):
        pass
    assert place(step) == ("t1", 2, 1)


def test_the_pause_behind_the_last_digit_delays_the_next_task(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2")
    assert desk.settle("r1", desk.claim("r1"), Verdict.OK, pause=20_000) is Left.LATER
    assert desk.state("t1") == "sent"


def test_and_a_task_that_is_enqueued_only_then(desk: Desk) -> None:
    desk.enqueue("t1")
    assert desk.settle("r1", desk.claim("r1"), Verdict.OK, pause=20_000) is Left.EMPTY
    desk.enqueue("t2")
    assert desk.claim("r2") is Left.LATER


def test_a_task_that_begins_with_a_pause_waits_for_it_once(patient: Desk) -> None:
    patient.enqueue("t1", n=2, lead=25_000)
    assert 0 < waited(patient.claim("r1")) <= 25_000
    patient.pause_over()
    step = patient.claim("r1")
    assert place(step) == ("t1", 1, 1)
    assert place(patient.settle("r1", step, Verdict.OK)) == ("t1", 2, 1)


def test_the_pause_in_front_begins_when_the_task_comes_to_the_head(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2", lead=20_000)
    step = desk.claim("r1")
    before = desk.now()
    assert desk.settle("r1", step, Verdict.OK) is Left.LATER
    due = desk.due()
    assert due is not None
    assert due >= before + 20_000


def test_a_long_pause_does_not_outlast_the_deadline(desk: Desk) -> None:
    """The record comes when the deadline passes, not when the pause is over."""
    desk.enqueue("t1", lead=50_000, expires_in=5000)
    assert desk.claim("r1") is Left.LATER
    assert desk.due() == int(desk.task("t1")["deadline"])


def test_a_run_that_was_told_to_stop_does_not_wait(desk: Desk) -> None:
    desk.enqueue("t1", lead=500)
    assert desk.claim("r1", stop=True) is Left.HANDED


def test_a_due_time_in_front_of_the_pause_does_no_harm(desk: Desk) -> None:
    desk.enqueue("t1", lead=20_000)
    desk.claim("r1")
    desk.sweep_due()
    assert desk.sweep(10) == [CH]
    assert desk.claim("r2") is Left.LATER
