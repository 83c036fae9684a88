"""claim: one run a channel; a digit that may be on its way is found, in doubt, by whoever comes next."""

import pytest

from tests.channel.desk import CH, PAYLOAD, SIGNER, Desk, place, sent_on
from worker.channel.queue import Signer
from worker.channel.steps import Left, Verdict

OTHER_SIGNER = Signer(kid="kid-2", ak="ak-2")


def test_a_channel_without_tasks_has_nothing_to_claim(desk: Desk) -> None:
    assert desk.claim("r1") is Left.EMPTY
    assert desk.redis.keys("*") == []


def test_the_head_is_marked_before_it_is_sent(desk: Desk) -> None:
    desk.enqueue("t1", n=2, expires_in=40_000)
    before = desk.now()
    step = desk.take("r1")
    assert place(step) == ("t1", 1, 1)
    assert (step.mark.kid, step.mark.ak) == (SIGNER.kid, SIGNER.ak)
    assert before // 1000 <= step.mark.signed_at <= desk.now() // 1000
    assert (step.doubt, step.throttled) == (False, False)
    assert 0 < step.left_ms <= 40_000
    assert step.payload == PAYLOAD
    channel = desk.channel()
    assert (channel["task"], channel["digit"], channel["attempt"]) == ("t1", "1", "1")


def test_a_second_run_finds_the_channel_busy_and_changes_nothing(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.take("r1")
    before = desk.channel()
    assert desk.claim("r2") is Left.BUSY
    assert desk.channel() == before


def test_a_run_goes_on_with_its_own_channel_and_cannot_know_what_was_sent(desk: Desk) -> None:
    """A lost answer of the server: the mark that the run finds may be one that it sent."""
    desk.enqueue("t1")
    first = desk.take("r1")
    again = desk.take("r1")
    assert again.doubt
    assert again.mark == first.mark
    assert desk.channel()["epoch"] == "1"


def test_a_run_whose_lease_is_over_loses_its_channel(desk: Desk) -> None:
    desk.enqueue("t1")
    first = desk.take("r1")
    desk.lease_over()
    second = desk.take("r2")
    assert second.doubt
    assert second.mark == first.mark
    assert desk.claim("r1") is Left.BUSY
    assert desk.channel()["epoch"] == "2"


def test_a_lease_ends_by_itself(desk: Desk) -> None:
    """No hand on the clock here: the one test in which a lease really runs out."""
    short = Desk(desk.redis, lease=50)
    short.enqueue("t1")
    short.take("r1")
    while (step := short.claim("r2")) is Left.BUSY:
        pass
    assert sent_on(step).doubt


def test_a_run_whose_lease_is_over_goes_on_if_nobody_else_came(desk: Desk) -> None:
    desk.enqueue("t1")
    step = desk.take("r1")
    desk.lease_over()
    assert desk.settle("r1", step, Verdict.OK) is Left.EMPTY
    assert desk.state("t1") == "sent"


def test_a_digit_keeps_its_nonce_and_its_signing_time_whoever_sends_it(desk: Desk) -> None:
    """Another secret key, another AccessKey, minutes later: the mark says what the copies before it had."""
    desk.enqueue("t1")
    first = desk.take("r1")
    desk.redis.hset(f"dtmf:ch:{CH}", "signed_at", 1_700_000_000)
    desk.lease_over()
    found = sent_on(desk.claim("r2", signer=OTHER_SIGNER))
    assert (found.mark.kid, found.mark.ak) == (first.mark.kid, first.mark.ak)
    assert found.mark.signed_at == 1_700_000_000
    assert desk.settle("r2", found, Verdict.PRESUMED) is Left.EMPTY


def test_after_a_restart_of_the_server_no_lease_counts(desk: Desk) -> None:
    desk.enqueue("t1")
    first = desk.take("r1")
    desk.restarted()
    assert desk.settle("r1", first, Verdict.OK) is Left.STALE
    second = desk.take("r2")
    assert second.doubt
    assert second.mark == first.mark


def test_a_task_older_than_the_server_is_in_doubt_at_each_digit(desk: Desk) -> None:
    """The server may have lost its last writes: a mark, or a settled digit."""
    desk.enqueue("t1", n=2)
    desk.restarted()
    step = desk.take("r1")
    assert step.doubt
    assert sent_on(desk.settle("r1", step, Verdict.OK)).doubt


def test_a_task_enqueued_after_the_restart_is_in_no_doubt(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.restarted()
    desk.enqueue("t2")
    step = desk.settle("r1", desk.take("r1"), Verdict.OK)
    assert place(step) == ("t2", 1, 1)
    assert not sent_on(step).doubt


@pytest.mark.parametrize("verdict", list(Verdict))
def test_what_a_run_says_after_it_lost_the_channel_changes_nothing(desk: Desk, verdict: Verdict) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2")
    old = desk.take("r1")
    desk.lease_over()
    desk.take("r2")
    before = desk.channel(), desk.task("t1"), desk.waiting()
    assert desk.settle("r1", old, verdict) is Left.STALE
    assert desk.release("r1") is Left.STALE
    assert (desk.channel(), desk.task("t1"), desk.waiting()) == before
    assert desk.stream() == []


def test_a_run_told_to_stop_gets_no_new_digit(desk: Desk) -> None:
    desk.enqueue("t1")
    assert desk.claim("r1", stop=True) is Left.HANDED
    assert "token" not in desk.channel()
    assert "task" not in desk.channel()
    due = desk.due()
    assert due is not None
    assert due <= desk.now() + 1000


def test_a_run_told_to_stop_learns_of_a_digit_on_its_way(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.take("r1")
    assert sent_on(desk.claim("r1", stop=True)).doubt


def test_a_late_message_for_an_empty_channel_takes_nothing(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.take("r1"), Verdict.OK)
    assert desk.claim("r2") is Left.EMPTY
    assert "token" not in desk.channel()
