"""A broken line stops: what waits behind a task that failed would type the wrong number."""

import pytest

from tests.channel.desk import CH, Desk, place, sent_on
from worker.channel.steps import Left, Verdict

HOLD = 60_000


def break_line(desk: Desk, verdict: Verdict = Verdict.FAILED, *, gone: bool = False) -> None:
    """t1 fails at its second digit; t2 waits, t3 waits and goes on regardless, t4 waits."""
    desk.enqueue("t1", n=2)
    desk.enqueue("t2", n=2)
    desk.enqueue("t3", go_on=True)
    desk.enqueue("t4")
    step = desk.settle("r1", desk.claim("r1"), Verdict.OK)
    if verdict is Verdict.EXPIRED:
        desk.deadline_over("t1")
    desk.settle("r1", step, verdict, error="Rejected", code="TheCode", gone=gone)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.EXPIRED, Verdict.UNKNOWN])
def test_tasks_behind_a_failed_one_are_cancelled(desk: Desk, verdict: Verdict) -> None:
    break_line(desk, verdict)
    assert [task for task, _ in desk.settled()] == ["t1", "t2", "t4"]
    for task in ("t2", "t4"):
        record = desk.record(task)
        assert (record.state, record.error, record.broken_by) == ("cancelled", "LineBroken", "t1")
        assert record.code == ("TaskExpired" if verdict is Verdict.EXPIRED else "TheCode")
    assert desk.outcomes("t2") == ["not_sent", "not_sent"]
    assert desk.record("t2").started_at is None


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.EXPIRED, Verdict.UNKNOWN])
def test_a_task_that_goes_on_regardless_is_sent(desk: Desk, verdict: Verdict) -> None:
    break_line(desk, verdict)
    assert desk.waiting() == ["t3"]
    step = sent_on(desk.claim("r1"))
    assert place(step) == ("t3", 1, 1)
    desk.settle("r1", step, Verdict.OK)
    assert desk.state("t3") == "sent"


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.UNKNOWN])
def test_when_the_call_is_gone_nothing_goes_on(desk: Desk, verdict: Verdict) -> None:
    break_line(desk, verdict, gone=True)
    assert desk.waiting() == []
    assert desk.state("t3") == "cancelled"
    assert desk.counted() == 0


def test_after_the_call_is_gone_the_run_ends_at_once(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2", go_on=True)
    step = desk.claim("r1")
    assert desk.settle("r1", step, Verdict.FAILED, error="Gone", code="C", gone=True) is Left.EMPTY


def test_a_broken_channel_refuses_new_tasks_and_says_why(desk: Desk) -> None:
    break_line(desk)
    word, task, code, left = desk.enqueue("t5")
    assert (word, task, code) == ("BROKEN", "t1", "TheCode")
    assert 0 < left <= desk.limits.break_
    assert desk.task("t5") == {}


def test_a_broken_channel_takes_a_task_that_goes_on_regardless(desk: Desk) -> None:
    break_line(desk)
    assert desk.enqueue("t5", go_on=True) == ["QUEUED"]
    assert desk.waiting() == ["t3", "t5"]
    assert desk.enqueue("t6")[0] == "BROKEN"


def test_a_break_ages(desk: Desk) -> None:
    break_line(desk)
    desk.break_aged()
    assert desk.enqueue("t5") == ["QUEUED"]


def test_a_break_ages_on_an_idle_channel_too(desk: Desk) -> None:
    short = Desk(desk.redis, break_=1)
    short.enqueue("t1")
    short.settle("r1", short.claim("r1"), Verdict.FAILED, error="Rejected", code="C")
    while (answer := short.enqueue("t2"))[0] == "BROKEN":
        pass
    assert answer == ["PUBLISH"]


def test_resume_acknowledges_a_break(desk: Desk) -> None:
    break_line(desk)
    desk.queue.resume(CH)
    assert desk.enqueue("t5") == ["QUEUED"]


def test_a_channel_of_its_own_is_not_touched(desk: Desk) -> None:
    desk.enqueue("other", ch="another")
    break_line(desk)
    assert desk.waiting("another") == ["other"]
    assert desk.enqueue("other-2", ch="another") == ["QUEUED"]


def test_a_head_past_its_deadline_breaks_the_line_without_a_request(desk: Desk) -> None:
    for task in ("t1", "t2"):
        desk.enqueue(task)
    desk.enqueue("t3", go_on=True)
    desk.deadline_over("t1")
    assert place(desk.claim("r1")) == ("t3", 1, 1)
    assert desk.settled() == [("t1", "expired"), ("t2", "cancelled")]
    record = desk.record("t1")
    assert (record.error, record.started_at) == ("TaskExpired", None)
    assert desk.record("t2").broken_by == "t1"
    assert desk.enqueue("t4")[:3] == ["BROKEN", "t1", "TaskExpired"]


def test_of_several_tasks_past_their_deadline_each_has_its_own_record(desk: Desk) -> None:
    for task in ("t1", "t2"):
        desk.enqueue(task, go_on=True)
        desk.deadline_over(task)
    assert desk.claim("r1") is Left.EMPTY
    assert desk.settled() == [("t1", "expired"), ("t2", "expired")]


def test_a_cancelled_task_breaks_the_line_only_if_part_of_it_was_heard(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.enqueue("t2")
    desk.queue.cancel("t1")
    assert desk.waiting() == ["t2"]
    assert desk.enqueue("t3") == ["QUEUED"]


@pytest.mark.parametrize("moment", ["on its way", "between digits"])
def test_half_a_number_then_cancelled_breaks_the_line(desk: Desk, moment: str) -> None:
    desk.enqueue("t1", n=3)
    desk.enqueue("t2")
    desk.enqueue("t3", go_on=True)
    step = desk.claim("r1")
    if moment == "on its way":
        assert desk.queue.cancel("t1") == ["REQUESTED"]
        step = desk.settle("r1", step, Verdict.OK)
    else:
        desk.settle("r1", step, Verdict.OK, pause=500)
        assert desk.queue.cancel("t1") == ["DONE"]
        desk.pause_over()
        step = desk.claim("r1")
    assert place(step) == ("t3", 1, 1)
    assert desk.settled() == [("t1", "cancelled"), ("t2", "cancelled")]
    assert desk.outcomes("t1") == ["sent", "not_sent", "not_sent"]
    assert (desk.record("t1").error, desk.record("t2").error) == ("TaskCancelled", "LineBroken")
    assert desk.enqueue("t4")[:2] == ["BROKEN", "t1"]


def test_a_digit_that_may_still_be_executed_holds_the_channel(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2", go_on=True)
    assert desk.settle("r1", desk.claim("r1"), Verdict.UNKNOWN, error="TaskUnknown", pause=HOLD) is Left.LATER
    assert desk.claim("r2") is Left.LATER
    due = desk.due()
    assert due is not None
    assert due > desk.now() + HOLD / 2
    desk.pause_over()
    assert place(desk.claim("r2")) == ("t2", 1, 1)


def test_the_hold_lasts_though_the_channel_was_idle(desk: Desk) -> None:
    desk.enqueue("t1")
    step = desk.claim("r1")
    assert desk.settle("r1", step, Verdict.UNKNOWN, error="TaskUnknown", pause=HOLD) is Left.EMPTY
    desk.queue.resume(CH)
    assert desk.enqueue("t2") == ["PUBLISH"]
    assert desk.claim("r2") is Left.LATER


def test_an_answered_digit_of_unknown_fate_needs_no_hold(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2", go_on=True)
    step = desk.settle("r1", desk.claim("r1"), Verdict.UNKNOWN, error="TaskUnknown", pause=0)
    assert place(step) == ("t2", 1, 1)
