"""purge: every waiting task of a channel is cancelled, at every moment of a run."""

from tests.channel.desk import CH, LONG_AGO, PAYLOAD, Desk, place
from worker.channel.queue import Purged
from worker.channel.steps import Left, Verdict


def enqueue_three(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.enqueue("t2", go_on=True)
    desk.enqueue("t3")


def test_every_waiting_task_is_cancelled_with_a_record_of_its_own(desk: Desk) -> None:
    enqueue_three(desk)
    assert desk.queue.purge(CH) == Purged(3, None, broke_line=False)
    assert desk.settled() == [("t1", "cancelled"), ("t2", "cancelled"), ("t3", "cancelled")]
    assert {(record.error, record.broken_by) for record in desk.stream()} == {("TaskCancelled", None)}
    assert desk.waiting() == []
    assert desk.counted() == 0


def test_a_channel_of_which_nothing_was_sent_takes_new_tasks_at_once(desk: Desk) -> None:
    enqueue_three(desk)
    desk.queue.purge(CH)
    assert desk.enqueue("t4") == ["PUBLISH"]
    assert place(desk.claim("r1")) == ("t4", 1, 1)


def test_a_digit_on_its_way_is_settled_before_its_task_is_cancelled(desk: Desk) -> None:
    enqueue_three(desk)
    step = desk.take("r1")
    assert desk.queue.purge(CH) == Purged(2, "t1", broke_line=False)
    assert desk.settled() == [("t2", "cancelled"), ("t3", "cancelled")]
    assert desk.waiting() == ["t1"]
    assert desk.settle("r1", step, Verdict.OK) is Left.EMPTY
    assert desk.outcomes("t1") == ["sent", "not_sent"]
    assert desk.state("t1") == "cancelled"
    # What comes next would go on with half an entry.
    assert desk.enqueue("t4")[:2] == ["BROKEN", "t1"]


def test_a_purge_during_the_last_digit_breaks_nothing(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2")
    step = desk.take("r1")
    assert desk.queue.purge(CH) == Purged(1, "t1", broke_line=False)
    assert desk.settle("r1", step, Verdict.OK) is Left.EMPTY
    assert desk.state("t1") == "sent"
    assert desk.enqueue("t3") == ["PUBLISH"]


def test_a_task_that_was_sent_in_part_breaks_the_line_and_the_others_are_the_producers_wish(desk: Desk) -> None:
    enqueue_three(desk)
    desk.settle("r1", desk.take("r1"), Verdict.OK, pause=500)
    assert desk.queue.purge(CH) == Purged(3, None, broke_line=True)
    assert {record.error for record in desk.stream()} == {"TaskCancelled"}
    assert desk.enqueue("t4")[:3] == ["BROKEN", "t1", "TaskCancelled"]
    assert desk.enqueue("t5", go_on=True) == ["QUEUED"]
    desk.queue.resume(CH)
    assert desk.enqueue("t6") == ["QUEUED"]


def test_the_run_finds_its_channel_empty_and_leaves(desk: Desk) -> None:
    desk.enqueue("t1", lead=500)
    desk.claim("r1")
    desk.queue.purge(CH)
    assert desk.claim("r1") is Left.EMPTY
    assert "token" not in desk.channel()


def test_the_digit_of_a_dead_run_is_settled_by_the_next_one(desk: Desk) -> None:
    enqueue_three(desk)
    desk.claim("r1")
    desk.lease_over()
    assert desk.queue.purge(CH) == Purged(2, "t1", broke_line=False)
    step = desk.take("r2")
    assert (place(step), step.doubt) == (("t1", 1, 1), True)
    assert desk.settle("r2", step, Verdict.PRESUMED) is Left.EMPTY
    assert desk.outcomes("t1") == ["presumed", "not_sent"]


def test_a_refused_digit_of_a_purged_task_is_not_tried_again(desk: Desk) -> None:
    desk.enqueue("t1")
    step = desk.take("r1")
    desk.queue.purge(CH)
    assert desk.settle("r1", step, Verdict.RETRY, code="Throttling") is Left.EMPTY
    assert desk.state("t1") == "cancelled"
    assert desk.enqueue("t2") == ["PUBLISH"]


def test_a_pause_stays_and_what_comes_after_the_purge_waits_for_its_end(desk: Desk) -> None:
    enqueue_three(desk)
    desk.queue.pause(CH)
    desk.claim("r1")
    desk.queue.purge(CH)
    assert desk.enqueue("t4") == ["QUEUED"]
    assert desk.claim("r2") is Left.PAUSED
    assert desk.queue.resume(CH)
    assert place(desk.claim("r3")) == ("t4", 1, 1)


def test_a_break_that_is_there_stays_as_it_is(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.take("r1"), Verdict.FAILED, code="InvalidParameter", error="Rejected")
    desk.enqueue("t2", go_on=True)
    assert desk.queue.purge(CH) == Purged(1, None, broke_line=False)
    assert desk.enqueue("t3")[:3] == ["BROKEN", "t1", "InvalidParameter"]


def test_a_hold_stays(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.take("r1"), Verdict.UNKNOWN, error="TaskUnknown", pause=30_000)
    desk.enqueue("t2", go_on=True)
    desk.queue.purge(CH)
    desk.enqueue("t3", go_on=True)
    assert desk.claim("r2") is Left.LATER


def test_a_channel_on_which_nothing_waits_is_left_alone(desk: Desk) -> None:
    assert desk.queue.purge(CH) == Purged(0, None, broke_line=False)
    assert desk.redis.keys("*") == []


def test_other_channels_are_left_alone(desk: Desk) -> None:
    desk.enqueue("t1", ch="a" * 32)
    desk.enqueue("t2")
    desk.queue.purge(CH)
    assert desk.waiting("a" * 32) == ["t1"]
    assert desk.counted() == 1


def test_what_the_present_server_may_have_forgotten_is_not_called_unsent(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.restarted()
    desk.queue.purge(CH)
    assert desk.outcomes("t1") == ["unknown", "unknown"]


def test_nothing_is_left_behind(desk: Desk) -> None:
    enqueue_three(desk)
    desk.settle("r1", desk.take("r1"), Verdict.OK, pause=500)
    desk.queue.purge(CH)
    desk.lease_over()
    desk.redis.zadd("dtmf:due", {CH: LONG_AGO})
    assert desk.sweep(10) == []
    assert desk.due() is None
    for_ever = {key for key in desk.redis.keys("*") if desk.redis.pttl(key) == -1}
    assert for_ever == {"dtmf:records", "dtmf:waiting"}
    assert PAYLOAD not in str([desk.redis.hgetall(key) for key in desk.redis.keys("dtmf:rec:*")])


def test_a_purge_has_the_sweeper_forget_the_channel_at_once(desk: Desk) -> None:
    desk.enqueue("t1", lead=30_000)
    desk.claim("r1")
    desk.queue.purge(CH)
    assert desk.sweep(10) == []
    assert desk.due() is None


def test_a_long_queue_is_purged_in_one_step(desk: Desk) -> None:
    for i in range(1000):
        desk.enqueue(f"t{i}")
    step = desk.take("r1")
    assert desk.queue.purge(CH).ended == 999
    assert desk.waiting() == ["t0"]
    desk.settle("r1", step, Verdict.OK)
    assert [record.id for record in desk.stream()] == [*(f"t{i}" for i in range(1, 1000)), "t0"]
