"""status, cancel, pause, resume and api_answer: what a CRM may ask while its tasks wait, and afterwards."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from redis import Redis

from tests.producer.crm import CALL, CH, Hands, everything_in, messages, queued, set_environment
from worker.channel.steps import Verdict
from worker.errors import InvalidTask, UnknownSecretKey
from worker.local.redis import LocalRedis
from worker.producer import SendDtmf
from worker.record import State
from worker.vault import new_secret_key

CHANNEL = CALL["channel_id"]
ANSWER = {"CallContext": {"JobId": CALL["job_id"]}, "UserContext": {"Mobile": "13900000001"}}


def test_a_waiting_task_says_how_many_are_ahead_of_it(send_dtmf: SendDtmf) -> None:
    send_dtmf.delay(**CALL)
    result = send_dtmf.delay(**{**CALL, "dtmf": "12w3"})
    status = send_dtmf.status(result.id)
    assert status
    assert (status.id, status.state, status.record) == (result.id, State.QUEUED, None)
    assert (status.digits, status.settled, status.ahead) == (3, 0, 1)
    assert 0 < status.left_ms <= 30_000


def test_a_task_under_way_says_how_many_digits_are_settled(send_dtmf: SendDtmf, hands: Hands) -> None:
    result = send_dtmf.delay(**CALL)
    hands.settle(hands.claim(), Verdict.OK, code="OK")
    status = send_dtmf.status(result.id)
    assert status
    assert (status.state, status.settled, status.ahead) == (State.SENDING, 1, 0)


def test_a_task_that_ended_gives_its_record(send_dtmf: SendDtmf, hands: Hands) -> None:
    result = send_dtmf.delay(**CALL)
    hands.fail("NotExists.JobId", gone=True)
    status = send_dtmf.status(result.id)
    assert status
    assert status.record
    assert (status.state, status.record.error, status.record.code) == (State.FAILED, "Gone", "NotExists.JobId")
    assert (status.digits, status.settled, status.ahead, status.left_ms) == (8, 8, 0, 0)
    assert status.record.worker == "w1"


def test_an_unknown_id_has_no_status_and_no_answer(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    assert send_dtmf.status("nobody") is None
    assert send_dtmf.api_answer("nobody") is None
    assert send_dtmf.cancel("nobody") == "NONE"
    assert redis_client.keys() == []


def test_a_waiting_task_is_cancelled_at_once_and_leaves_a_record(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    first, second = send_dtmf.delay(**CALL), send_dtmf.delay(**CALL)
    assert send_dtmf.cancel(second.id) == "DONE"
    assert queued(redis_client) == [first.id]
    status = send_dtmf.status(second.id)
    assert status
    assert status.record
    assert (status.state, status.record.error, status.record.worker) == (State.CANCELLED, "TaskCancelled", None)
    assert send_dtmf.cancel(second.id) == "RECORDED"


def test_a_task_whose_digit_is_on_its_way_is_cancelled_before_the_next(send_dtmf: SendDtmf, hands: Hands) -> None:
    result = send_dtmf.delay(**CALL)
    sent = hands.claim()
    assert send_dtmf.cancel(result.id) == "REQUESTED"
    hands.settle(sent, Verdict.OK, code="OK")
    status = send_dtmf.status(result.id)
    assert status
    assert status.record
    assert status.state is State.CANCELLED
    assert [digit.outcome for digit in status.record.digits] == ["sent", *["not_sent"] * 7]


def test_a_paused_channel_keeps_its_tasks_until_resume_wakes_it(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    assert send_dtmf.pause(CHANNEL) == 0
    result = send_dtmf.delay(**CALL)
    assert messages(redis_client) == []
    assert send_dtmf.pause(CHANNEL) == 1
    send_dtmf.resume(CHANNEL)
    assert len(messages(redis_client)) == 1
    assert queued(redis_client) == [result.id]


def test_a_purge_cancels_all_that_waits_but_for_the_digit_on_its_way(send_dtmf: SendDtmf, hands: Hands) -> None:
    first, second = send_dtmf.delay(**CALL), send_dtmf.delay(**CALL)
    hands.claim()
    purged = send_dtmf.purge(CHANNEL)
    assert (purged.ended, purged.in_progress, purged.broke_line) == (1, first.id, False)
    status = send_dtmf.status(second.id)
    assert status
    assert status.state is State.CANCELLED


def test_resume_of_an_idle_channel_wakes_nobody(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    send_dtmf.resume(CHANNEL)
    assert messages(redis_client) == []


def test_the_answer_of_the_api_is_given_back_and_stands_encrypted_in_redis(
    send_dtmf: SendDtmf, redis_client: Redis, hands: Hands
) -> None:
    result = send_dtmf.delay(**{**CALL, "dtmf": "1"})
    assert send_dtmf.api_answer(result.id) is None
    answer = send_dtmf.door.vault.encrypt(json.dumps(ANSWER), result.id)
    hands.settle(hands.claim(), Verdict.OK, code="OK", answer=answer)
    assert send_dtmf.api_answer(result.id) == ANSWER
    assert redis_client.hget(f"dtmf:rec:{result.id}", "answer") == answer
    assert "13900000001" not in everything_in(redis_client)


def test_an_answer_under_a_key_that_was_taken_out_says_so(
    send_dtmf: SendDtmf, hands: Hands, redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = send_dtmf.delay(**{**CALL, "dtmf": "1"})
    hands.settle(
        hands.claim(), Verdict.OK, code="OK", answer=send_dtmf.door.vault.encrypt(json.dumps(ANSWER), result.id)
    )
    send_dtmf.door.queue._client.close()
    del send_dtmf.door
    set_environment(monkeypatch, redis_server.url, DTMF_SECRET_KEYS=new_secret_key())
    with pytest.raises(UnknownSecretKey, match="DTMF_SECRET_KEYS"):
        send_dtmf.api_answer(result.id)


def test_a_task_without_an_answer_of_the_api_has_none(send_dtmf: SendDtmf, hands: Hands) -> None:
    result = send_dtmf.delay(**CALL)
    hands.fail()
    assert send_dtmf.api_answer(result.id) is None


@pytest.mark.parametrize("ask", ["status", "cancel", "api_answer"])
@pytest.mark.parametrize("task_id", [None, "", "8001735/1", 8001735, b"x"])
def test_what_is_no_task_id_is_refused(send_dtmf: SendDtmf, ask: str, task_id: Any) -> None:
    with pytest.raises(InvalidTask, match="task_id must be") as caught:
        getattr(send_dtmf, ask)(task_id)
    assert "8001735" not in str(caught.value)


@pytest.mark.parametrize("ask", ["pause", "resume", "purge"])
@pytest.mark.parametrize("channel_id", [None, "", 13188888888, "13188888888\n", "\ud800"])
def test_what_is_no_channel_id_is_refused(send_dtmf: SendDtmf, ask: str, channel_id: Any) -> None:
    with pytest.raises(InvalidTask, match="channel_id ") as caught:
        getattr(send_dtmf, ask)(channel_id)
    assert "1318" not in str(caught.value)


@pytest.mark.parametrize(
    "look", [lambda task: repr(task.door.queue), lambda task: repr(task.door), lambda task: repr(vars(task.door))]
)
def test_the_door_shows_no_key_and_no_password(
    send_dtmf: SendDtmf, monkeypatch: pytest.MonkeyPatch, look: Callable[[SendDtmf], str]
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://crm:geheim-hunter2@127.0.0.1:1/0")
    text = look(send_dtmf)
    assert "geheim" not in text
    assert CH not in text
