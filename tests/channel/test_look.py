"""look: one channel as it stands, for people."""

from tests.channel.desk import CH, Desk
from worker.channel.look import ChannelSeen
from worker.channel.steps import Verdict


def look(desk: Desk, most: int = 10) -> ChannelSeen:
    return desk.queue.look(CH, most)


def test_of_a_channel_that_nobody_knows_there_is_nothing_to_see(desk: Desk) -> None:
    seen = look(desk)
    assert (seen.ch, seen.run, seen.mark, seen.broken, seen.paused_ms) == (CH, None, None, None, None)
    assert (seen.hold_ms, seen.pause_ms, seen.due_ms, seen.waiting, seen.tasks) == (0, 0, None, 0, [])
    assert desk.redis.keys("*") == []


def test_a_waiting_task_shows_its_digits_its_age_and_its_deadline(desk: Desk) -> None:
    desk.enqueue("t1", n=4, expires_in=60_000)
    desk.enqueue("t2", n=1, go_on=True)
    seen = look(desk)
    first, second = seen.tasks
    assert (first.id, first.digits, first.settled, first.started) == ("t1", 4, 0, False)
    assert 0 <= first.age_ms < 60_000
    assert 0 < first.left_ms <= 60_000
    assert (first.go_on, second.go_on) == (False, True)
    assert (first.cancelled, first.doubt, seen.run) == (False, False, None)
    assert seen.due_ms is not None


def test_only_so_many_tasks_are_listed_and_all_are_counted(desk: Desk) -> None:
    for i in range(5):
        desk.enqueue(f"t{i}")
    assert [task.id for task in look(desk, 2).tasks] == ["t0", "t1"]
    assert look(desk, 2).waiting == 5


def test_who_serves_the_channel_and_what_is_on_its_way(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.settle("r1", desk.take("r1"), Verdict.OK)
    seen = look(desk)
    assert seen.run
    assert (seen.run.worker, seen.run.live) == ("tester", True)
    assert seen.run.for_ms >= 0
    assert 0 < seen.run.lease_ms <= desk.limits.lease
    assert seen.mark
    assert (seen.mark.task, seen.mark.digit, seen.mark.attempt) == ("t1", 2, 1)
    assert (seen.mark.doubt, seen.mark.throttled) == (False, False)
    assert (seen.tasks[0].settled, seen.tasks[0].started) == (1, True)


def test_a_run_that_is_silent_is_not_alive_and_leaves_a_doubt(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    desk.lease_over()
    seen = look(desk)
    assert seen.run
    assert seen.mark
    assert (seen.run.live, seen.mark.doubt) == (False, True)
    assert seen.run.lease_ms < 0


def test_the_digit_that_a_run_found_stays_in_doubt(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    desk.redis.hincrby(f"dtmf:ch:{CH}", "marked_at", -1)
    desk.lease_over()
    desk.claim("r2")
    seen = look(desk)
    assert seen.run
    assert seen.mark
    assert (seen.run.live, seen.mark.doubt) == (True, True)


def test_a_digit_let_go_of_after_a_refused_copy_says_so(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    desk.release("r1", throttled=True)
    seen = look(desk)
    assert seen.run is None
    assert seen.mark
    assert (seen.mark.doubt, seen.mark.throttled) == (True, True)


def test_after_a_restart_of_the_server_nobody_serves_and_tasks_are_in_doubt(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    desk.restarted()
    seen = look(desk)
    assert seen.run
    assert (seen.run.live, seen.tasks[0].doubt) == (False, True)


def test_a_pause_a_break_and_a_hold_are_seen_for_as_long_as_they_last(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.take("r1"), Verdict.UNKNOWN, error="TaskUnknown", pause=20_000)
    desk.queue.pause(CH)
    seen = look(desk)
    assert seen.broken
    assert (seen.broken.task, seen.broken.code) == ("t1", "TaskUnknown")
    assert 0 < seen.broken.left_ms <= desk.limits.break_
    assert 0 < seen.hold_ms <= 20_000
    assert seen.paused_ms is not None
    assert seen.paused_ms >= 0
    desk.break_aged()
    desk.pause_over()
    seen = look(desk)
    assert (seen.broken, seen.hold_ms) == (None, 0)
    desk.queue.resume(CH)
    assert look(desk).paused_ms is None


def test_a_gap_between_two_digits_and_a_cancel_that_was_asked_for_are_seen(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    step = desk.take("r1")
    desk.queue.cancel("t1")
    assert look(desk).tasks[0].cancelled
    desk.settle("r1", step, Verdict.OK, pause=20_000)
    assert 0 < look(desk).pause_ms <= 20_000


def test_a_run_that_left_is_not_named(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.take("r1"), Verdict.OK)
    assert look(desk).run is None
    assert not {"worker", "since"} & set(desk.channel())


def test_payloads_are_read_of_those_that_wait(desk: Desk) -> None:
    desk.enqueue("t1")
    assert desk.queue.payloads(["t1", "t2"]) == ["the-encrypted-payload", None]
