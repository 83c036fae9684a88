"""cancel, pause and resume: what a producer may ask of a task or a channel that it has enqueued."""

from tests.channel.desk import CH, Desk, place
from worker.channel.steps import Left, Verdict


def test_a_waiting_task_is_cancelled_at_once(desk: Desk) -> None:
    for task in ("t1", "t2", "t3"):
        desk.enqueue(task)
    assert desk.queue.cancel("t2") == ["DONE"]
    assert desk.waiting() == ["t1", "t3"]
    record = desk.record("t2")
    assert (record.state, record.error, record.broken_by) == ("cancelled", "TaskCancelled", None)


def test_a_cancelled_head_does_not_stop_those_behind_it(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2")
    desk.queue.cancel("t1")
    assert place(desk.claim("r1")) == ("t2", 1, 1)


def test_a_cancelled_head_leaves_no_pause_of_its_own_behind(desk: Desk) -> None:
    """t1 begins with a pause of 30 s; it is cancelled, and t2 has none."""
    desk.enqueue("t1", lead=30_000)
    desk.enqueue("t2")
    assert desk.claim("r1") is Left.LATER
    desk.queue.cancel("t1")
    assert desk.sweep(10) == [CH]
    assert place(desk.claim("r2")) == ("t2", 1, 1)


def test_a_run_that_finds_its_last_task_cancelled_leaves(desk: Desk) -> None:
    desk.enqueue("t1", lead=500)
    desk.claim("r1")
    desk.queue.cancel("t1")
    assert desk.claim("r1") is Left.EMPTY
    assert "token" not in desk.channel()
    assert desk.enqueue("t2") == ["PUBLISH"]


def test_a_digit_on_its_way_is_settled_before_its_task_is_cancelled(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.enqueue("t2", go_on=True)
    step = desk.claim("r1")
    assert desk.queue.cancel("t1") == ["REQUESTED"]
    assert desk.queue.cancel("t1") == ["REQUESTED"]
    assert desk.waiting() == ["t1", "t2"]
    assert desk.stream() == []
    assert place(desk.settle("r1", step, Verdict.OK)) == ("t2", 1, 1)
    assert desk.outcomes("t1") == ["sent", "not_sent"]
    assert desk.state("t1") == "cancelled"


def test_a_cancel_that_comes_during_the_last_digit_comes_too_late(desk: Desk) -> None:
    desk.enqueue("t1")
    step = desk.claim("r1")
    desk.queue.cancel("t1")
    desk.settle("r1", step, Verdict.OK)
    assert desk.state("t1") == "sent"


def test_a_refused_digit_of_a_cancelled_task_is_not_tried_again(desk: Desk) -> None:
    desk.enqueue("t1")
    step = desk.claim("r1")
    desk.queue.cancel("t1")
    assert desk.settle("r1", step, Verdict.RETRY, code="Throttling") is Left.EMPTY
    assert desk.state("t1") == "cancelled"
    assert desk.outcomes("t1") == ["not_sent"]


def test_the_digit_of_a_dead_run_is_settled_by_the_next_one_before_the_cancel(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.claim("r1")
    desk.lease_over()
    assert desk.queue.cancel("t1") == ["REQUESTED"]
    step = desk.claim("r2")
    assert place(step) == ("t1", 1, 1)
    assert desk.settle("r2", step, Verdict.PRESUMED) is Left.EMPTY
    assert desk.outcomes("t1") == ["presumed", "not_sent"]


def test_a_task_that_has_ended_keeps_its_record(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.claim("r1"), Verdict.OK)
    assert desk.queue.cancel("t1") == ["RECORDED", "sent"]
    assert desk.settled() == [("t1", "sent")]


def test_an_unknown_task_cannot_be_cancelled(desk: Desk) -> None:
    assert desk.queue.cancel("t1") == ["NONE"]
    assert desk.redis.keys("*") == []


def test_a_paused_channel_sends_nothing(desk: Desk) -> None:
    desk.enqueue("t1")
    assert desk.queue.pause(CH) == 1
    assert desk.claim("r1") is Left.PAUSED
    assert "token" not in desk.channel()
    assert desk.waiting() == ["t1"]


def test_a_pause_lets_the_digit_on_its_way_be_settled(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    step = desk.claim("r1")
    desk.queue.pause(CH)
    assert desk.settle("r1", step, Verdict.OK) is Left.PAUSED
    assert "d1" in desk.task("t1")


def test_a_pause_lets_the_digit_of_a_dead_run_be_settled(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.claim("r1")
    desk.lease_over()
    desk.queue.pause(CH)
    step = desk.claim("r2")
    assert place(step) == ("t1", 1, 1)
    assert desk.settle("r2", step, Verdict.PRESUMED) is Left.PAUSED


def test_a_paused_channel_still_takes_tasks_and_asks_for_no_message(desk: Desk) -> None:
    assert desk.queue.pause(CH) == 0
    assert desk.enqueue("t1") == ["QUEUED"]
    assert desk.enqueue("t2") == ["QUEUED"]


def test_resume_asks_for_a_message_if_tasks_wait(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.queue.pause(CH)
    desk.claim("r1")
    assert desk.queue.resume(CH)
    due = desk.due()
    assert due is not None
    assert due <= desk.now() + 1000
    assert place(desk.claim("r2")) == ("t1", 1, 1)


def test_resume_of_an_idle_channel_or_one_with_a_run_asks_for_none(desk: Desk) -> None:
    assert not desk.queue.resume(CH)
    desk.enqueue("t1")
    desk.claim("r1")
    desk.queue.pause(CH)
    assert not desk.queue.resume(CH)


def test_deadlines_go_on_while_a_channel_is_paused(desk: Desk) -> None:
    desk.enqueue("t1", expires_in=60_000)
    desk.queue.pause(CH)
    assert desk.claim("r1") is Left.PAUSED
    assert desk.due() == int(desk.task("t1")["deadline"])
    desk.deadline_over("t1")
    desk.sweep_due()
    assert desk.sweep(10) == [CH]
    assert desk.claim("r2") is Left.EMPTY
    assert desk.state("t1") == "expired"


def test_a_paused_channel_stays_paused_when_it_is_empty(desk: Desk) -> None:
    desk.enqueue("t1")
    step = desk.claim("r1")
    desk.queue.pause(CH)
    assert desk.settle("r1", step, Verdict.OK) is Left.EMPTY
    desk.enqueue("t2")
    assert desk.claim("r2") is Left.PAUSED
