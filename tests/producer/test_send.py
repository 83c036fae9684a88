"""delay and apply_async: what is enqueued, what is refused, and that a refusal leaves nothing behind."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import chain, chord, group
from celery.result import AsyncResult
from redis import Redis

from tests.producer.crm import CALL, CH, PERSONAL, Hands, everything_in, messages, queued
from worker.errors import (
    ChannelBroken,
    ChannelQueueFull,
    DeadlinePassed,
    DtmfError,
    InvalidTask,
    NotAccepted,
    SystemQueueFull,
    UnsupportedOption,
)
from worker.producer import SendDtmf


def refused(send_dtmf: SendDtmf, client: Redis, kind: type[DtmfError], **options: Any) -> str:
    """The refusal of a task; it must leave nothing behind."""
    before = everything_in(client)
    with pytest.raises(kind) as caught:
        send_dtmf.apply_async(**{"kwargs": CALL, **options})
    assert type(caught.value) is kind
    assert everything_in(client) == before
    assert caught.value.__context__ is None
    assert not any(text in str(caught.value) for text in PERSONAL)
    return str(caught.value)


def test_delay_enqueues_a_task_and_gives_its_result(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    result = send_dtmf.delay(**CALL)
    assert isinstance(result, AsyncResult)
    assert str(uuid.UUID(result.id)) == result.id
    assert queued(redis_client) == [result.id]
    assert result.state == "PENDING"
    (message,) = messages(redis_client)
    assert message["headers"]["task"] == "dtmf.serve"


def test_a_burst_is_enqueued_in_order_with_one_message_only(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    ids = [send_dtmf.delay(**CALL).id for _ in range(20)]
    assert queued(redis_client) == ids
    assert [message["headers"]["argsrepr"] for message in messages(redis_client)] == [f"('{CH}',)"]


def test_a_signature_is_enqueued_as_delay_does(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    result = send_dtmf.s(**CALL).apply_async(task_id="of-the-crm")
    assert queued(redis_client) == [result.id] == ["of-the-crm"]


def test_a_task_sent_by_its_name_goes_through_the_same_door(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    result = send_dtmf.app.send_task("dtmf.send", kwargs=CALL, task_id="by-name")
    assert queued(redis_client) == [result.id] == ["by-name"]
    assert [message["headers"]["task"] for message in messages(redis_client)] == ["dtmf.serve"]


def test_the_same_id_twice_is_one_task(send_dtmf: SendDtmf, redis_client: Redis, hands: Hands) -> None:
    first = send_dtmf.apply_async(kwargs=CALL, task_id="order-1")
    again = send_dtmf.apply_async(kwargs={**CALL, "dtmf": "9"}, task_id="order-1")
    assert first.id == again.id
    assert queued(redis_client) == ["order-1"]
    hands.fail()
    send_dtmf.apply_async(kwargs=CALL, task_id="order-1")
    assert queued(redis_client) == []


def test_threads_may_share_it(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    with ThreadPoolExecutor(16) as pool:
        ids = [result.id for result in pool.map(lambda _: send_dtmf.delay(**CALL), range(80))]
    assert sorted(queued(redis_client)) == sorted(ids)


@pytest.mark.parametrize("expires", [20, 20.0, timedelta(seconds=20)])
def test_expires_of_celery_is_the_deadline(send_dtmf: SendDtmf, redis_client: Redis, expires: Any) -> None:
    result = send_dtmf.apply_async(kwargs={**CALL, "expires_in": 25}, expires=expires)
    task = redis_client.hgetall(f"dtmf:t:{result.id}")
    assert int(task["deadline"]) - int(task["enqueued_at"]) == 20_000


def test_an_absolute_deadline_counts_to_the_millisecond(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    when = datetime.now(UTC) + timedelta(minutes=5)
    result = send_dtmf.apply_async(kwargs=CALL, expires=when)
    assert redis_client.hget(f"dtmf:t:{result.id}", "deadline") == str(int(when.timestamp() * 1000))


def test_nothing_in_redis_and_nothing_in_the_log_shows_personal_data(
    send_dtmf: SendDtmf, redis_client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    result = send_dtmf.delay(**CALL)
    send_dtmf.status(result.id)
    send_dtmf.pause(CALL["channel_id"])
    send_dtmf.resume(CALL["channel_id"])
    send_dtmf.cancel(result.id)
    send_dtmf.delay(**CALL)
    text = everything_in(redis_client)
    assert result.id in text
    assert CH in text
    for personal in PERSONAL:
        assert personal not in text
        assert personal not in caplog.text


def test_the_worker_gets_what_the_crm_handed_in(send_dtmf: SendDtmf, hands: Hands) -> None:
    result = send_dtmf.delay(**CALL, gap_ms=100)
    payload = send_dtmf.door.vault.decrypt(hands.claim().payload, result.id)
    assert all(personal in payload for personal in PERSONAL)


@pytest.mark.parametrize(
    ("option", "value", "instead"),
    [
        ("priority", 9, "order in which they were enqueued"),
        ("queue", "fast", "leave it out"),
        ("routing_key", "fast", "leave it out"),
        ("exchange", "fast", "leave it out"),
        ("retry", True, "expires_in"),
        ("retry_policy", {"max_retries": 3}, "leave it out"),
        ("time_limit", 5, "expires_in"),
        ("soft_time_limit", 5, "expires_in"),
        ("serializer", "pickle", "leave it out"),
        ("compression", "gzip", "leave it out"),
        ("headers", {"a": 1}, "leave it out"),
        ("shadow", "name", "leave it out"),
        ("ignore_result", True, "leave it out"),
    ],
)
def test_an_option_without_meaning_for_keys_is_refused_with_what_to_do_instead(
    send_dtmf: SendDtmf, redis_client: Redis, option: str, value: Any, instead: str
) -> None:
    text = refused(send_dtmf, redis_client, UnsupportedOption, **{option: value})
    assert text.startswith(f"dtmf.send takes no option {option}; ")
    assert instead in text


def test_options_that_say_nothing_are_passed_over(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    result = send_dtmf.apply_async(
        args=(), kwargs=CALL, task_id=None, expires=None, countdown=None, eta=None, link=[], queue=None, headers={}
    )
    assert queued(redis_client) == [result.id]


@pytest.mark.parametrize(
    "build",
    [
        lambda task: chain(task.si(**CALL), task.si(**CALL)),
        lambda task: group(task.s(**CALL), task.s(**CALL)),
        lambda task: chord([task.s(**CALL), task.s(**CALL)], task.si(**CALL)),
        lambda task: task.s(**CALL).on_error(task.si(**CALL)),
    ],
    ids=["chain", "group", "chord", "errback"],
)
def test_celerys_ways_to_combine_tasks_show_redis_no_key_and_no_number(
    send_dtmf: SendDtmf, redis_client: Redis, build: Callable[[SendDtmf], Any]
) -> None:
    build(send_dtmf).delay()
    assert queued(redis_client)
    assert not any(personal in everything_in(redis_client) for personal in PERSONAL)


@pytest.mark.parametrize("option", ["link", "link_error", "chain", "chord"])
def test_a_callback_that_is_no_signature_is_refused(send_dtmf: SendDtmf, redis_client: Redis, option: str) -> None:
    assert "signatures" in refused(send_dtmf, redis_client, InvalidTask, **{option: "x"})


def test_a_callback_whose_workers_are_not_known_is_refused(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    callback = send_dtmf.app.signature("crm.done")
    text = refused(send_dtmf, redis_client, InvalidTask, link=callback)
    assert text == "the callback crm.done names no queue; say .set(queue=…), that of its own workers"


@pytest.mark.parametrize("countdown", [-1, 86_401, "5", True, float("nan")])
def test_a_countdown_is_up_to_a_day(send_dtmf: SendDtmf, redis_client: Redis, countdown: Any) -> None:
    assert "countdown must be" in refused(send_dtmf, redis_client, InvalidTask, countdown=countdown)


@pytest.mark.parametrize("way", ["map", "starmap", "chunks", "apply"])
def test_ways_that_would_show_the_keys_to_the_broker_or_press_them_here_are_refused(
    send_dtmf: SendDtmf, redis_client: Redis, way: str
) -> None:
    with pytest.raises(UnsupportedOption, match="delay"):
        getattr(send_dtmf, way)([("ch", "job", "1234")], 1)
    assert redis_client.keys() == []


def test_a_direct_call_is_refused(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    with pytest.raises(UnsupportedOption, match="delay"):
        send_dtmf(**CALL)
    assert redis_client.keys() == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"args": ("ch", "job", "8001735")}, "are named"),
        ({"args": "8001735"}, "are named"),
        ({"kwargs": None}, "dtmf.send needs channel_id and dtmf and job_id"),
        ({"kwargs": {**CALL, "dtmf": None}}, "dtmf.send needs dtmf"),
        ({"kwargs": {**CALL, "job_id": ""}}, "job_id must have 1 to 256 characters"),
        ({"kwargs": {**CALL, "digits": "8001735"}}, "takes no argument digits; it takes channel_id"),
        ({"kwargs": {**CALL, "task_id": "x"}}, "takes no argument task_id"),
        ({"kwargs": {**CALL, "8001735#": "x"}}, "takes no argument ?"),
        ({"kwargs": {8001735: "x"} | dict[Any, Any](CALL)}, "takes no argument ?"),
        ({"kwargs": "8001735"}, "mapping"),
        ({"kwargs": {**CALL, "dtmf": "8001735x"}}, "'x' at position 8"),
        ({"kwargs": {**CALL, "gap_ms": "8001735"}}, "gap_ms must be"),
        ({"task_id": "8001735/"}, "task_id must be"),
        ({"task_id": ""}, "task_id must be"),
        ({"expires": "8001735"}, "expires_in (or expires) must be"),
        ({"expires": datetime(2099, 1, 1)}, "time zone"),  # noqa: DTZ001
        ({"expires": 0}, "more than 0"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(
    send_dtmf: SendDtmf, redis_client: Redis, options: dict[str, Any], told: str
) -> None:
    assert told in refused(send_dtmf, redis_client, InvalidTask, **options)


def test_a_deadline_that_has_passed_is_refused(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    past = datetime.now(UTC) - timedelta(days=1)
    assert "nothing was enqueued" in refused(send_dtmf, redis_client, DeadlinePassed, expires=past)


def test_a_full_channel_refuses_and_others_do_not(
    send_dtmf: SendDtmf, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTMF_CHANNEL_LIMIT", "2")
    for _ in range(2):
        send_dtmf.delay(**CALL)
    assert "DTMF_CHANNEL_LIMIT" in refused(send_dtmf, redis_client, ChannelQueueFull)
    assert send_dtmf.delay(**{**CALL, "channel_id": "another"}).id


def test_a_full_system_refuses_on_every_channel(
    send_dtmf: SendDtmf, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTMF_CHANNEL_LIMIT", "1")
    monkeypatch.setenv("DTMF_SYSTEM_LIMIT", "2")
    for channel in ("one", "two"):
        send_dtmf.delay(**{**CALL, "channel_id": channel})
    assert "DTMF_SYSTEM_LIMIT" in refused(send_dtmf, redis_client, SystemQueueFull)


def test_a_broken_channel_refuses_and_names_the_task_that_broke_it(
    send_dtmf: SendDtmf, redis_client: Redis, hands: Hands
) -> None:
    broken_by = send_dtmf.delay(**CALL).id
    hands.fail("InvalidParameter")
    text = refused(send_dtmf, redis_client, ChannelBroken)
    assert broken_by in text
    assert "InvalidParameter" in text
    assert "send_dtmf.resume(channel_id)" in text


def test_a_broken_channel_takes_a_task_that_goes_on_regardless(
    send_dtmf: SendDtmf, redis_client: Redis, hands: Hands
) -> None:
    send_dtmf.delay(**CALL)
    hands.fail()
    result = send_dtmf.delay(**CALL, on_failure="continue")
    assert queued(redis_client) == [result.id]


def test_a_broken_channel_takes_tasks_again_once_the_break_is_acknowledged(
    send_dtmf: SendDtmf, redis_client: Redis, hands: Hands
) -> None:
    send_dtmf.delay(**CALL)
    hands.fail()
    send_dtmf.resume(CALL["channel_id"])
    result = send_dtmf.delay(**CALL)
    assert queued(redis_client) == [result.id]


def test_one_except_clause_catches_every_refusal_of_the_queue() -> None:
    for kind in (ChannelQueueFull, SystemQueueFull, ChannelBroken, DeadlinePassed):
        assert issubclass(kind, NotAccepted)
        assert issubclass(kind, DtmfError)
    assert issubclass(InvalidTask, ValueError)
