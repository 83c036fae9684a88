"""A run serves a channel: what is sent, under which nonce, and what is recorded of it."""

import json
from collections.abc import Callable

import pytest

from tests.run.answers import GONE, INTERNAL, LOST, REFUSED, THROTTLED, UNSENT, USED
from tests.run.stage import CH, OK, Stage
from worker.ccc import (
    NotExecuted,
    Refused,
    Rejected,
    TooLate,
    Undetermined,
)

SetUp = Callable[..., Stage]


def test_digits_are_sent_in_the_order_in_which_their_tasks_were_enqueued(stage: Stage) -> None:
    stage.enqueue("t1", "12*")
    stage.enqueue("t2", "3")
    stage.enqueue("t3", "4#")
    stage.serve()
    assert stage.api.keys == "12*34#"
    assert stage.settled() == [("t1", "sent"), ("t2", "sent"), ("t3", "sent")]
    assert stage.published == []
    assert stage.is_free()


def test_every_digit_has_a_nonce_of_its_own(stage: Stage) -> None:
    stage.enqueue("t1", "1111")
    stage.enqueue("t2", "1111")
    stage.serve()
    assert len(set(stage.api.nonces)) == 8


def test_a_request_names_what_the_task_says_and_else_the_settings(stage: Stage) -> None:
    stage.enqueue("t1", "1", job_id="job-7", user_id="user-7")
    stage.serve()
    press = stage.api.heard[0].press
    assert (press.job_id, press.user_id) == ("job-7", "user-7")
    assert (press.instance_id, press.device_id) == ("ccc-default", "device-default")


def test_a_message_for_an_empty_channel_ends_without_a_trace(stage: Stage) -> None:
    stage.serve()
    assert (stage.api.heard, stage.published) == ([], [])


def test_a_message_for_a_channel_that_has_a_run_ends_without_a_trace(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.desk.claim("another", ch=CH)
    stage.serve()
    assert (stage.api.heard, stage.published) == ([], [])


def test_copies_of_an_attempt_have_one_nonce_and_one_signing_time(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.api.cues = [LOST, LOST, OK]
    stage.serve()
    assert len(stage.api.heard) == 3
    assert len({(heard.nonce, heard.signed_at) for heard in stage.api.heard}) == 1
    assert stage.settled() == [("t1", "sent")]
    assert stage.desk.record("t1").digits[0].attempts == 1


def test_an_unanswered_digit_whose_nonce_was_used_is_presumed(stage: Stage) -> None:
    stage.enqueue("t1", "12")
    stage.api.cues = [LOST, USED, OK]
    stage.serve()
    assert stage.settled() == [("t1", "presumed")]
    assert stage.outcomes("t1") == ["presumed", "sent"]
    assert stage.desk.record("t1").digits[0].request_id == "req-used"


def test_a_throttled_digit_is_tried_again_under_the_same_nonce(stage: Stage) -> None:
    """Under another one, a server that lost the refusal would have it pressed under both."""
    stage.enqueue("t1")
    stage.api.cues = [THROTTLED, THROTTLED, OK]
    stage.serve()
    assert stage.api.keys == "111"
    assert len(set(stage.api.nonces)) == 1
    assert stage.desk.record("t1").digits[0].attempts == 3
    assert stage.settled() == [("t1", "sent")]


def test_where_a_refusal_has_used_up_the_nonce_the_digit_gets_a_new_one(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.api.cues = [THROTTLED, USED, OK]
    stage.serve()
    first, second, third = stage.api.nonces
    assert first == second != third
    assert stage.settled() == [("t1", "sent")]
    assert stage.desk.record("t1").digits[0].attempts == 3


def test_that_such_a_refusal_uses_up_nonces_is_learned_once(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.api.cues = [THROTTLED, USED, OK]
    stage.serve()
    stage.api.heard.clear()
    stage.enqueue("t2")
    stage.api.cues = [THROTTLED, OK]
    stage.serve()
    assert len(set(stage.api.nonces)) == 2
    assert stage.settled() == [("t1", "sent"), ("t2", "sent")]


def test_of_two_refusals_nobody_knows_which_used_up_the_nonce(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.api.cues = [THROTTLED, NotExecuted("unavailable", "ServiceUnavailable", 503), USED, OK]
    stage.serve()
    stage.api.heard.clear()
    stage.enqueue("t2")
    stage.api.cues = [THROTTLED, OK]
    stage.serve()
    assert len(set(stage.api.nonces)) == 1


def test_a_nonce_used_after_a_refusal_and_a_lost_answer_is_unknown(stage: Stage) -> None:
    """The refusal may have burnt it, or the copy whose answer was lost may have been executed."""
    stage.enqueue("t1")
    stage.api.cues = [THROTTLED, LOST, USED]
    stage.serve()
    assert len(set(stage.api.nonces)) == 1
    assert stage.settled() == [("t1", "unknown")]


def test_a_throttled_resend_keeps_its_nonce(stage: Stage) -> None:
    """The first copy may have been executed: under a new nonce the key would be pressed twice."""
    stage.enqueue("t1")
    stage.api.cues = [LOST, THROTTLED, OK]
    stage.serve()
    assert len(set(stage.api.nonces)) == 1
    assert stage.settled() == [("t1", "sent")]


def test_a_copy_that_was_never_written_does_not_count(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.api.cues = [UNSENT, THROTTLED, USED, OK]
    stage.serve()
    assert len(set(stage.api.nonces)) == 2
    assert stage.settled() == [("t1", "sent")]


def test_throttled_and_then_refused_is_unknown_and_needs_no_hold(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.enqueue("t2", "2", on_failure="continue")
    stage.api.cues = [LOST, THROTTLED, USED]
    stage.serve()
    assert stage.settled() == [("t1", "unknown"), ("t2", "sent")]


def test_an_internal_error_stops_the_task(stage: Stage) -> None:
    stage.enqueue("t1", "12")
    stage.enqueue("t2", "3")
    stage.api.cues = [INTERNAL]
    stage.serve()
    assert stage.api.keys == "1"
    assert stage.settled() == [("t1", "unknown"), ("t2", "cancelled")]
    record = stage.desk.record("t1")
    assert (record.error, record.code) == ("TaskUnknown", "InternalError")
    assert stage.outcomes("t1") == ["unknown", "not_sent"]


def test_a_task_may_ask_for_a_key_of_unknown_fate_to_be_pressed_again(stage: Stage) -> None:
    stage.enqueue("t1", "12", on_unknown="resend")
    stage.api.cues = [INTERNAL, USED]
    stage.serve()
    assert stage.api.keys == "1112"
    assert len(set(stage.api.nonces)) == 3
    assert stage.settled() == [("t1", "sent")]


def test_a_key_that_is_to_be_pressed_again_and_is_not_may_have_been_pressed(stage: Stage) -> None:
    """The task is cancelled, or the call ends, after an internal error: nobody may say "not sent"."""
    stage.enqueue("t1", "1", on_unknown="resend")
    stage.enqueue("t2", "2")

    def cancelled() -> Undetermined:
        stage.queue.cancel("t1")
        return INTERNAL

    stage.api.cues = [cancelled]
    stage.serve()
    assert stage.settled() == [("t1", "cancelled"), ("t2", "cancelled")]
    assert stage.outcomes("t1") == ["unknown"]
    assert stage.desk.record("t2").error == "LineBroken"
    stage.queue.resume(CH)
    stage.enqueue("t3", "3", on_unknown="resend")
    stage.api.cues = [INTERNAL, GONE]
    stage.serve()
    assert stage.settled()[-1] == ("t3", "unknown")
    record = stage.desk.record("t3")
    assert (record.error, record.code, stage.outcomes("t3")) == ("TaskUnknown", "NotExists.ChannelId", ["unknown"])


def test_a_key_that_runs_out_of_time_after_an_internal_error_is_unknown(stage: Stage) -> None:
    stage.enqueue("t1", "12", on_unknown="resend")

    def late() -> Undetermined:
        stage.desk.deadline_over("t1")
        return INTERNAL

    stage.api.cues = [late]
    stage.serve()
    assert stage.settled() == [("t1", "unknown")]
    assert stage.outcomes("t1") == ["unknown", "not_sent"]


def test_when_the_call_is_gone_nothing_more_is_sent(stage: Stage) -> None:
    stage.enqueue("t1", "12")
    stage.enqueue("t2", "3", on_failure="continue")
    stage.enqueue("t3", "4")
    stage.api.cues = [OK, GONE]
    stage.serve()
    assert stage.api.keys == "12"
    assert stage.settled() == [("t1", "failed"), ("t2", "cancelled"), ("t3", "cancelled")]
    record = stage.desk.record("t1")
    assert (record.error, record.code) == ("Gone", "NotExists.ChannelId")
    assert (record.digits[1].http_status, record.digits[1].request_id) == (404, "req-gone")


def test_a_refused_account_raises_one_alarm_and_the_task_waits(set_up: SetUp, caplog: pytest.LogCaptureFixture) -> None:
    stage = set_up({"probe": 20})
    stage.enqueue("t1", "12")
    stage.api.cues = [REFUSED] * 3
    stage.serve()
    while stage.settled() == []:
        stage.desk.pause_over(CH)
        stage.serve()
    assert stage.settled() == [("t1", "sent")]
    assert stage.api.keys == "11112"
    assert [record.levelname for record in caplog.records if "alarm.refused" in record.message] == ["CRITICAL"]


def test_a_refused_copy_of_a_digit_in_doubt_ends_it_as_unknown(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.api.cues = [LOST, REFUSED]
    stage.serve()
    assert stage.settled() == [("t1", "unknown")]
    assert stage.desk.queue.refusal() is not None


def test_a_copy_that_is_too_old_for_the_api_is_no_alarm(stage: Stage) -> None:
    """Every copy carries the time of the first; the clock is not wrong."""
    stage.enqueue("t1")
    stage.api.cues = [LOST, Refused("too old", "InvalidTimeStamp.Expired", 400)]
    stage.serve()
    assert stage.settled() == [("t1", "unknown")]
    assert stage.desk.queue.refusal() is None


def test_a_final_error_ends_the_task_and_what_waits_behind_it(stage: Stage) -> None:
    stage.enqueue("t1", "12")
    stage.enqueue("t2", "3")
    stage.enqueue("t3", "4", on_failure="continue")
    stage.api.cues = [Rejected("no", "InvalidParameter", 400)]
    stage.serve()
    assert stage.api.keys == "14"
    assert stage.settled() == [("t1", "failed"), ("t2", "cancelled"), ("t3", "sent")]
    assert stage.desk.record("t1").error == "Rejected"


def test_a_final_error_to_a_resend_leaves_the_digit_unknown(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.api.cues = [LOST, Rejected("no", "InvalidParameter", 400)]
    stage.serve()
    assert stage.settled() == [("t1", "unknown")]


def test_a_task_whose_deadline_passed_in_the_queue_is_not_sent(stage: Stage) -> None:
    stage.enqueue("t1", "12")
    stage.desk.deadline_over("t1")
    stage.serve()
    assert stage.api.heard == []
    assert stage.settled() == [("t1", "expired")]


def test_no_request_is_sent_after_the_deadline(stage: Stage) -> None:
    """The client looks at the clock once more right before it writes."""
    stage.enqueue("t1", "12", expires_in=1)

    def too_late() -> TooLate:
        stage.passed(stage.api.heard[-1].not_after)
        return TooLate("the deadline passed")

    stage.api.cues = [OK, too_late]
    stage.serve()
    assert stage.settled() == [("t1", "expired")]
    assert stage.outcomes("t1") == ["sent", "not_sent"]


def test_the_client_is_told_the_deadline(stage: Stage) -> None:
    stage.enqueue("t1", expires_in=50)
    stage.serve()
    heard = stage.api.heard[0]
    assert heard.not_after <= heard.at + 50
    assert heard.not_after > heard.at


def test_a_digit_without_an_answer_at_its_deadline_is_unknown_and_the_channel_held(stage: Stage) -> None:
    stage.enqueue("t1", "12", expires_in=0.5)
    stage.enqueue("t2", "3", on_failure="continue")
    stage.api.cues = [LOST] * 1000
    stage.serve()
    assert set(stage.api.keys) == {"1"}
    assert stage.settled() == [("t1", "unknown")]
    assert stage.outcomes("t1") == ["unknown", "not_sent"]
    assert stage.is_free()
    stage.serve()
    assert set(stage.api.keys) == {"1"}, "held: the last copy may still be executed"
    stage.desk.pause_over(CH)
    stage.api.cues = []
    stage.serve()
    assert stage.settled()[-1] == ("t2", "sent")


def test_a_digit_that_never_left_the_machine_expires(stage: Stage) -> None:
    stage.enqueue("t1", expires_in=0.5)
    stage.api.cues = [UNSENT] * 1000
    stage.serve()
    assert stage.settled() == [("t1", "expired")]
    assert stage.outcomes("t1") == ["not_sent"]


def test_pauses_of_the_dial_string_and_the_gap_are_kept(stage: Stage) -> None:
    stage.enqueue("t1", "1w2", gap_ms=100)
    stage.enqueue("t2", "3")
    stage.serve()
    assert stage.api.keys == "123"
    first, second, third = (heard.at for heard in stage.api.heard)
    assert second - first >= 0.5
    assert third - second >= 0.1


def test_a_task_is_decrypted_once_for_all_its_digits(stage: Stage) -> None:
    stage.enqueue("t1", "123456")
    stage.enqueue("t2", "7")
    stage.api.cues = [LOST, OK, THROTTLED]
    stage.serve()
    assert stage.settled() == [("t1", "sent"), ("t2", "sent")]
    assert stage.vault.opened == 2


@pytest.mark.parametrize("payload", ["", "{}", '{"keys": "1"}', '{"keys": ""}', "[]"])
def test_a_task_that_cannot_be_read_ends_before_a_key_is_pressed(stage: Stage, payload: str) -> None:
    """Of another version, or by a foreign hand: it must neither block its channel nor press half a number."""
    stage.enqueue("t1")
    stage.desk.redis.set("dtmf:p:t1", stage.vault.encrypt(payload, "t1"))
    stage.serve()
    assert stage.api.heard == []
    assert stage.settled() == [("t1", "unknown")]


def test_what_the_api_said_is_kept_encrypted_and_the_record_shows_no_key(stage: Stage) -> None:
    stage.enqueue("t1", "123456")
    stage.serve()
    stored = stage.desk.redis.hgetall("dtmf:rec:t1")
    assert "123456" not in stored["record"]
    assert set(json.loads(stored["record"])["digits"][0]) <= {
        "index",
        "outcome",
        "attempts",
        "request_id",
        "http_status",
        "code",
        "started_at",
        "ended_at",
    }
    assert "job-1" not in str(stored)
    assert json.loads(stage.vault.decrypt(stored["answer"], "t1"))["CallContext"]["JobId"] == "job-1"
    assert stage.desk.record("t1").worker == "worker-1"
