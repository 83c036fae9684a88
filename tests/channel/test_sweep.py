"""beat, release and sweep: how a channel whose run has died, has hung or has left is found and goes on."""

import pytest

from tests.channel.desk import CH, Desk, place, sent_on
from worker.channel.steps import Left, Verdict


def test_a_beat_renews_the_leases_and_names_the_lost_channels(desk: Desk) -> None:
    for ch in ("kept", "taken", "restarted", "left"):
        desk.enqueue(f"t-{ch}", ch=ch)
        desk.claim(f"r-{ch}", ch=ch)
        desk.lease_over(ch)
    desk.claim("another", ch="taken")
    desk.release("r-left", ch="left")
    desk.redis.hset("dtmf:ch:restarted", "boot", "an-earlier-boot")
    taken = desk.channel("taken")
    runs = [(ch, f"r-{ch}") for ch in ("kept", "taken", "restarted", "left", "never-there")]
    assert sorted(desk.queue.beat(runs)) == ["left", "never-there", "restarted", "taken"]
    assert int(desk.channel("kept")["lease_until"]) > desk.now()
    assert desk.channel("taken") == taken
    assert desk.channel("restarted")["lease_until"] == "1"
    assert desk.channel("never-there") == {}


def test_a_run_that_beats_keeps_its_channel(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    desk.lease_over()
    assert desk.queue.beat([(CH, "r1")]) == []
    assert desk.claim("r2") is Left.BUSY


def test_no_runs_no_beat(desk: Desk) -> None:
    assert desk.queue.beat([]) == []


def test_a_released_digit_is_taken_up_in_doubt(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    step = sent_on(desk.settle("r1", desk.claim("r1"), Verdict.OK))
    assert desk.release("r1") is Left.HANDED
    assert "token" not in desk.channel()
    found = sent_on(desk.claim("r2"))
    assert found.mark == step.mark
    assert (found.doubt, found.throttled) == (True, False)


def test_a_successor_learns_that_a_copy_was_throttled(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.claim("r1")
    desk.release("r1", throttled=True)
    desk.claim("r2")
    desk.release("r2", throttled=False)
    step = sent_on(desk.claim("r3"))
    assert step.throttled
    assert not sent_on(desk.settle("r3", step, Verdict.OK)).throttled
    desk.lease_over()
    assert not sent_on(desk.claim("r4")).throttled


def test_what_was_never_sent_is_released_without_doubt(desk: Desk) -> None:
    """The digit is marked anew, under the same attempt: no copy of it can have been written."""
    desk.enqueue("t1", n=2)
    desk.claim("r1")
    assert desk.release("r1", unsent=True, pause=0) is Left.HANDED
    assert "task" not in desk.channel()
    step = sent_on(desk.claim("r2"))
    assert (place(step), step.doubt) == (("t1", 1, 1), False)


def test_what_was_never_sent_waits_as_long_as_its_run_said(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    desk.release("r1", unsent=True, pause=30_000)
    assert desk.claim("r2") is Left.LATER
    desk.pause_over()
    assert not sent_on(desk.claim("r2")).doubt


def test_a_task_that_was_released_unsent_can_be_cancelled_at_once(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    desk.release("r1", unsent=True)
    assert desk.queue.cancel("t1") == ["DONE"]


def test_a_released_channel_is_due_when_its_run_said(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    before = desk.now()
    desk.release("r1", pause=2500)
    due = desk.due()
    assert due is not None
    assert before + 2500 <= due <= desk.now() + 2500


def test_only_the_run_that_holds_a_channel_can_release_it(desk: Desk) -> None:
    desk.enqueue("t1")
    assert desk.release("r1") is Left.STALE
    desk.claim("r1")
    assert desk.release("r2") is Left.STALE
    desk.restarted()
    assert desk.release("r1") is Left.STALE
    assert desk.channel()["token"] == "r1"


def test_the_sweeper_finds_a_channel_whose_message_was_lost(desk: Desk) -> None:
    desk.enqueue("t1")
    assert desk.sweep(10) == []
    desk.sweep_due()
    assert desk.sweep(10) == [CH]


def test_the_sweeper_finds_a_channel_whose_run_died(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    desk.sweep_due()
    assert desk.sweep(10) == []
    assert desk.due() == int(desk.channel()["lease_until"])
    desk.lease_over()
    desk.sweep_due()
    assert desk.sweep(10) == [CH]


def test_the_sweeper_finds_a_channel_that_had_a_run_before_the_restart(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    desk.restarted()
    desk.sweep_due()
    assert desk.sweep(10) == [CH]


def test_a_channel_is_offered_less_and_less_often_until_a_run_takes_it(desk: Desk) -> None:
    desk.enqueue("t1")
    gaps = []
    for _ in range(7):
        desk.sweep_due()
        before = desk.now()
        assert desk.sweep(10) == [CH]
        due = desk.due()
        assert due is not None
        gaps.append((due - before) // 1000)
        assert desk.sweep(10) == []
    assert gaps == pytest.approx([1, 2, 4, 8, 16, 30, 30], abs=0.6)
    desk.claim("r1")
    desk.lease_over()
    desk.sweep_due()
    desk.sweep(10)
    due = desk.due()
    assert due is not None
    assert due <= desk.now() + 1000


def test_the_sweeper_forgets_an_empty_channel(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.queue.cancel("t1")
    desk.sweep_due()
    assert desk.sweep(10) == []
    assert desk.due() is None


def test_a_sweep_takes_the_longest_overdue_and_leaves_the_rest(desk: Desk) -> None:
    for score, ch in enumerate("abcd", start=1):
        desk.enqueue(f"t-{ch}", ch=ch)
        desk.redis.zadd("dtmf:due", {ch: score})
    assert desk.sweep(3) == ["a", "b", "c"]
    assert desk.sweep(3) == ["d"]


def test_a_run_that_was_found_again_goes_on_where_the_dead_one_was(desk: Desk) -> None:
    """The one recovery path, end to end: dies, is found, is claimed, is settled."""
    desk.enqueue("t1", n=2)
    desk.settle("r1", desk.claim("r1"), Verdict.OK)
    desk.lease_over()
    desk.sweep_due()
    (ch,) = desk.sweep(10)
    step = desk.claim("r2", ch=ch)
    assert place(step) == ("t1", 2, 1)
    assert desk.settle("r2", step, Verdict.PRESUMED) is Left.EMPTY
    assert desk.outcomes("t1") == ["sent", "presumed"]


def test_channels_with_a_run_do_not_hide_those_without(desk: Desk) -> None:
    """A worker with one free slot looks past all that are served."""
    for ch in "abcd":
        desk.enqueue(f"t-{ch}", ch=ch)
        if ch != "d":
            desk.claim(f"r-{ch}", ch=ch)
        desk.sweep_due(ch)
    assert desk.sweep(1) == ["d"]


def test_what_is_due_is_left_to_others_for_a_while(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.redis.zadd("dtmf:due", {CH: desk.now()})
    assert desk.sweep(10, overdue_ms=60_000) == []
    assert desk.sweep(10) == [CH]
