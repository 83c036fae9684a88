"""settle: what becomes of a digit, of its task and of the channel, verdict by verdict."""

from typing import Any

import pytest

from tests.channel.desk import CH, PAYLOAD, Desk, place, sent_on
from worker.channel.steps import Left, Verdict
from worker.record import Record

FACTS: dict[str, Any] = {"code": "OK", "http_status": 200, "request_id": "req-1"}


def test_digits_go_out_one_after_another_and_tasks_in_their_order(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.enqueue("t2", n=1)
    step = desk.claim("r1")
    places = []
    while step is not Left.EMPTY:
        places.append(place(step))
        assert not sent_on(step).doubt
        step = desk.settle("r1", step, Verdict.OK)
    assert places == [("t1", 1, 1), ("t1", 2, 1), ("t2", 1, 1)]
    assert desk.settled() == [("t1", "sent"), ("t2", "sent")]


def test_a_sent_task_is_recorded_with_what_the_api_said(desk: Desk) -> None:
    before = desk.now()
    desk.enqueue("t1", n=2, expires_in=40_000)
    step = desk.settle("r1", desk.claim("r1"), Verdict.OK, **FACTS)
    desk.settle("r1", step, Verdict.OK, **{**FACTS, "request_id": "req-2"})
    record = desk.record("t1")
    assert (record.v, record.id, record.state, record.worker) == (1, "t1", "sent", "tester")
    assert [digit.index for digit in record.digits] == [1, 2]
    assert [digit.request_id for digit in record.digits] == ["req-1", "req-2"]
    assert {(d.outcome, d.attempts, d.code, d.http_status) for d in record.digits} == {("sent", 1, "OK", 200)}
    moments = [
        before,
        record.enqueued_at,
        record.started_at,
        *(moment for digit in record.digits for moment in (digit.started_at, digit.ended_at)),
        record.ended_at,
        desk.now(),
    ]
    assert moments == sorted(moments, key=lambda moment: moment or 0)
    assert record.deadline == record.enqueued_at + 40_000
    assert (record.error, record.code, record.broken_by) == (None, None, None)


def test_the_record_and_the_stream_say_the_same(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.claim("r1"), Verdict.OK, **FACTS)
    assert desk.stream() == [desk.record("t1")]


def test_one_presumed_digit_makes_the_task_presumed(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    step = desk.settle("r1", desk.claim("r1"), Verdict.PRESUMED, code="SignatureNonceUsed", http_status=400)
    desk.settle("r1", step, Verdict.OK, **FACTS)
    assert desk.state("t1") == "presumed"
    assert desk.outcomes("t1") == ["presumed", "sent"]


def test_a_presumed_task_does_not_break_the_line(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2")
    step = desk.settle("r1", desk.claim("r1"), Verdict.PRESUMED)
    assert place(step) == ("t2", 1, 1)


def test_a_refused_attempt_is_made_again_under_its_next_number(desk: Desk) -> None:
    desk.enqueue("t1")
    step = desk.claim("r1")
    for number in (2, 3):
        step = desk.settle("r1", step, Verdict.RETRY, code="Throttling.User", http_status=429)
        assert place(step) == ("t1", 1, number)
        assert not sent_on(step).doubt
    desk.settle("r1", step, Verdict.OK, **FACTS)
    digit = desk.record("t1").digits[0]
    assert (digit.outcome, digit.attempts, digit.code) == ("sent", 3, "OK")


def test_the_next_digit_starts_with_its_first_attempt(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    step = desk.settle("r1", desk.claim("r1"), Verdict.RETRY)
    assert place(desk.settle("r1", step, Verdict.OK)) == ("t1", 2, 1)


def test_the_next_attempt_is_known_to_a_successor(desk: Desk) -> None:
    """In Redis before it is sent: a worker that dies in the pause must not make the first one again."""
    desk.enqueue("t1")
    desk.settle("r1", desk.claim("r1"), Verdict.RETRY, pause=500)
    desk.lease_over()
    desk.pause_over()
    step = desk.claim("r2")
    assert place(step) == ("t1", 1, 2)
    assert not sent_on(step).doubt


def test_a_refused_digit_that_runs_out_of_time_was_not_sent(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    desk.settle("r1", desk.claim("r1"), Verdict.RETRY, pause=500, code="Throttling", request_id="req-1")
    desk.deadline_over("t1")
    assert desk.claim("r1") is Left.EMPTY
    record = desk.record("t1")
    assert (record.state, record.error) == ("expired", "TaskExpired")
    assert desk.outcomes("t1") == ["not_sent", "not_sent"]
    assert (record.digits[0].attempts, record.digits[0].code) == (1, "Throttling")
    assert record.digits[1].attempts == 0


def test_what_befell_one_digit_is_not_told_of_the_next(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    step = desk.settle("r1", desk.claim("r1"), Verdict.RETRY, code="Throttling")
    desk.settle("r1", step, Verdict.OK, pause=500)
    desk.queue.cancel("t1")
    second = desk.record("t1").digits[1]
    assert (second.outcome, second.attempts, second.code) == ("not_sent", 0, None)


@pytest.mark.parametrize(
    ("verdict", "outcome", "state"),
    [
        (Verdict.FAILED, "failed", "failed"),
        (Verdict.UNKNOWN, "unknown", "unknown"),
    ],
)
def test_a_digit_that_cannot_be_sent_ends_its_task(desk: Desk, verdict: Verdict, outcome: str, state: str) -> None:
    desk.enqueue("t1", n=3)
    step = desk.settle("r1", desk.claim("r1"), Verdict.OK, **FACTS)
    assert desk.settle("r1", step, verdict, error="TheError", code="TheCode", http_status=404) is Left.EMPTY
    record = desk.record("t1")
    assert (record.state, record.error, record.code) == (state, "TheError", "TheCode")
    assert desk.outcomes("t1") == ["sent", outcome, "not_sent"]
    assert desk.task("t1") == {}
    assert desk.waiting() == []


def test_a_digit_that_expired_ends_its_task(desk: Desk) -> None:
    desk.enqueue("t1", n=3)
    step = desk.settle("r1", desk.claim("r1"), Verdict.OK, **FACTS)
    desk.deadline_over("t1")
    assert desk.settle("r1", step, Verdict.EXPIRED) is Left.EMPTY
    record = desk.record("t1")
    assert (record.state, record.error, record.code) == ("expired", "TaskExpired", None)
    assert desk.outcomes("t1") == ["sent", "not_sent", "not_sent"]


def test_a_run_that_counted_its_deadline_too_short_has_the_digit_marked_anew(desk: Desk) -> None:
    """The server took its time over the claim, and the run counts from before it asked."""
    desk.enqueue("t1")
    step = desk.claim("r1")
    again = desk.settle("r1", step, Verdict.EXPIRED)
    assert place(again) == place(step)
    assert not sent_on(again).doubt
    assert desk.stream() == []


def test_the_same_verdict_again_changes_nothing(desk: Desk) -> None:
    """The server's answer was lost, the run says it once more."""
    desk.enqueue("t1", n=2)
    first = desk.claim("r1")
    desk.settle("r1", first, Verdict.OK, **FACTS)
    before = desk.channel(), desk.task("t1")
    assert desk.settle("r1", first, Verdict.OK, **FACTS) is Left.STALE
    assert (desk.channel(), desk.task("t1")) == before
    again = desk.claim("r1")
    assert place(again) == ("t1", 2, 1)
    assert sent_on(again).doubt


def test_a_verdict_on_an_earlier_attempt_does_not_touch_the_later_one(desk: Desk) -> None:
    desk.enqueue("t1")
    first = desk.claim("r1")
    second = desk.settle("r1", first, Verdict.RETRY)
    assert desk.settle("r1", first, Verdict.RETRY) is Left.STALE
    assert desk.settle("r1", first, Verdict.FAILED, error="Rejected") is Left.STALE
    assert desk.settle("r1", second, Verdict.OK) is Left.EMPTY
    assert desk.settled() == [("t1", "sent")]


def test_a_run_told_to_stop_settles_its_digit_and_hands_over(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    assert desk.settle("r1", desk.claim("r1"), Verdict.OK, stop=True) is Left.HANDED
    assert "token" not in desk.channel()
    assert place(desk.claim("r2")) == ("t1", 2, 1)


def test_a_run_told_to_stop_at_the_last_digit_has_nothing_to_hand_over(desk: Desk) -> None:
    desk.enqueue("t1")
    assert desk.settle("r1", desk.claim("r1"), Verdict.OK, stop=True) is Left.EMPTY


def test_a_settled_digit_renews_the_lease(desk: Desk) -> None:
    desk.enqueue("t1", n=2)
    step = desk.claim("r1")
    desk.redis.hset(f"dtmf:ch:{CH}", "lease_until", desk.now() + 5)
    desk.settle("r1", step, Verdict.OK)
    assert int(desk.channel()["lease_until"]) > desk.now() + 5


def test_the_last_answer_of_the_api_is_kept_encrypted_beside_the_record(desk: Desk) -> None:
    desk.enqueue("t1", n=3)
    step = desk.settle("r1", desk.claim("r1"), Verdict.OK, answer="encrypted-1")
    step = desk.settle("r1", step, Verdict.OK, answer="encrypted-2")
    desk.settle("r1", step, Verdict.FAILED, error="Gone", code="NotExists.JobId")
    assert desk.redis.hget("dtmf:rec:t1", "answer") == "encrypted-2"
    assert "encrypted" not in desk.redis.hget("dtmf:rec:t1", "record")


def test_the_payload_is_gone_as_soon_as_its_task_has_ended(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.claim("r1"), Verdict.OK)
    assert desk.task("t1") == {}
    assert not desk.redis.exists("dtmf:t:t1", "dtmf:p:t1")
    assert PAYLOAD not in str([desk.redis.hgetall("dtmf:rec:t1"), desk.redis.xrange("dtmf:records")])


def test_a_cancelled_head_of_an_old_boot_may_have_been_heard(desk: Desk) -> None:
    """No record says "not sent" where the server may have forgotten that it was."""
    desk.enqueue("t1", n=2)
    desk.restarted()
    desk.queue.cancel("t1")
    assert desk.outcomes("t1") == ["unknown", "unknown"]


def test_every_final_state_is_a_valid_record(desk: Desk) -> None:
    """One channel each, and the stream holds each of them once, in the order in which they ended."""
    verdicts = {
        "sent": Verdict.OK,
        "presumed": Verdict.PRESUMED,
        "failed": Verdict.FAILED,
        "unknown": Verdict.UNKNOWN,
        "expired": Verdict.EXPIRED,
    }
    for state, verdict in verdicts.items():
        desk.enqueue(state, ch=state)
        step = desk.claim("r", ch=state)
        if verdict is Verdict.EXPIRED:
            desk.deadline_over(state)
        desk.settle("r", step, verdict, ch=state, error="E", code="C")
    desk.enqueue("cancelled", ch="cancelled")
    desk.queue.cancel("cancelled")
    assert [record.state for record in desk.stream()] == [*verdicts, "cancelled"]
    assert all(isinstance(desk.record(state), Record) for state in [*verdicts, "cancelled"])
    assert desk.record("cancelled").error == "TaskCancelled"
