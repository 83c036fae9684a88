"""Redis fails a CRM: nothing is enqueued twice, nothing hangs, and no error shows the URL."""

import re
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery.exceptions import TimeoutError as CeleryTimeout
from redis import Redis

from tests.producer.crm import CALL, CH, messages, queued, set_environment
from tests.unit.proxy import Proxy
from worker import door
from worker.errors import DtmfError, QueueUnavailable, SystemQueueFull
from worker.local.redis import LocalRedis, free_port
from worker.producer import SendDtmf

PASSWORD = "geheim-hunter2"


@pytest.fixture
def behind_proxy(send_dtmf: SendDtmf, redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy between the CRM and its server."""
    del send_dtmf  # it sets the environment first, and reads it when it is first used
    with Proxy(redis_server.port) as proxy:
        set_environment(monkeypatch, f"redis://127.0.0.1:{proxy.port}/0")
        yield proxy


@contextmanager
def user_without(client: Redis, server: LocalRedis, command: str) -> Iterator[str]:
    """A URL under which this command is forbidden."""
    commands = ["+@all", f"-{command}"]
    client.acl_setuser("crm", True, passwords=[f"+{PASSWORD}"], commands=commands, keys=["*"], channels=["*"])
    try:
        yield f"redis://crm:{PASSWORD}@127.0.0.1:{server.port}/0"
    finally:
        client.acl_deluser("crm")


def told(error: BaseException) -> str:
    """All that a log or Sentry would show of an error: its text, its cause, their frames' lines."""
    return "".join(traceback.format_exception(error)) + repr(error) + str(error)


ASKS: dict[str, Callable[[SendDtmf], Any]] = {
    "delay": lambda task: task.delay(**CALL),
    "status": lambda task: task.status("task-1"),
    "cancel": lambda task: task.cancel("task-1"),
    "api_answer": lambda task: task.api_answer("task-1"),
    "pause": lambda task: task.pause("ch"),
    "resume": lambda task: task.resume("ch"),
    "purge": lambda task: task.purge("ch"),
}


@pytest.mark.parametrize("ask", ASKS)
def test_a_server_that_is_down_is_an_error_of_ours_without_the_url(
    send_dtmf: SendDtmf, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    port = free_port()
    monkeypatch.setattr(door, "_PATIENCE_S", 0.3)
    set_environment(monkeypatch, f"redis://crm:{PASSWORD}@127.0.0.1:{port}/0")
    with pytest.raises(QueueUnavailable) as caught:
        ASKS[ask](send_dtmf)
    text = told(caught.value)
    assert "ConnectionRefusedError" in text
    assert PASSWORD not in text
    assert str(port) not in text
    assert caught.value.__context__ is None


def test_a_server_that_takes_connections_and_never_answers_ends_within_the_patience(
    send_dtmf: SendDtmf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_PATIENCE_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        set_environment(
            monkeypatch, f"redis://crm:{PASSWORD}@127.0.0.1:{deaf.getsockname()[1]}/0", DTMF_REDIS_TIMEOUT_MS=100
        )
        with pytest.raises(QueueUnavailable, match="TimeoutError") as caught:
            send_dtmf.delay(**CALL)
    assert PASSWORD not in told(caught.value)


def test_an_uncertain_enqueue_names_the_task_id_to_repeat_it_with(
    send_dtmf: SendDtmf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_PATIENCE_S", 0)
    set_environment(monkeypatch, f"redis://127.0.0.1:{free_port()}/0")
    with pytest.raises(QueueUnavailable, match="task order-1 may or may not have been accepted"):
        send_dtmf.apply_async(kwargs=CALL, task_id="order-1")
    with pytest.raises(QueueUnavailable) as caught:
        send_dtmf.delay(**CALL)
    assert re.search(r"task [0-9a-f-]{36} may or may not", str(caught.value))


def test_an_answer_that_was_lost_makes_one_task_and_wakes_its_channel(
    send_dtmf: SendDtmf, redis_client: Redis, behind_proxy: Proxy
) -> None:
    behind_proxy.lose = b"PUBLISH"
    result = send_dtmf.delay(**CALL)
    assert behind_proxy.lost
    assert queued(redis_client) == [result.id]
    assert redis_client.get("dtmf:waiting") == "1"
    assert len(messages(redis_client)) == 1


def test_a_lost_answer_within_a_burst_changes_no_order(
    send_dtmf: SendDtmf, redis_client: Redis, behind_proxy: Proxy
) -> None:
    ids = [send_dtmf.delay(**CALL).id]
    behind_proxy.lose = b"QUEUED"
    ids += [send_dtmf.delay(**CALL).id for _ in range(3)]
    assert behind_proxy.lost
    assert queued(redis_client) == ids


def test_a_server_that_goes_away_between_the_queue_and_the_message_does_not_undo_the_task(
    send_dtmf: SendDtmf, redis_client: Redis, behind_proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    behind_proxy.leave_after = b"PUBLISH"
    result = send_dtmf.delay(**CALL)
    assert queued(redis_client) == [result.id]
    assert messages(redis_client) == []
    assert f"wake.unsent ch={CH}" in caplog.text
    # The sweeper will look at it.
    assert redis_client.zscore("dtmf:due", CH)


@pytest.mark.parametrize("how", ["refused", "no answer"])
def test_a_message_that_cannot_be_sent_holds_the_producer_up_for_a_moment_only(
    send_dtmf: SendDtmf, redis_client: Redis, behind_proxy: Proxy, how: str
) -> None:
    """After a second the sweeper is there; Celery's own patience was 6 s, and 10 s without an answer."""
    if how == "refused":
        behind_proxy.leave_after = b"PUBLISH"
    else:
        behind_proxy.silent_after = b"PUBLISH"
    began = time.monotonic()
    result = send_dtmf.delay(**CALL)
    assert time.monotonic() - began < 5
    assert queued(redis_client) == [result.id]
    assert messages(redis_client) == []


def test_a_message_that_the_server_forbids_does_not_undo_the_task(
    send_dtmf: SendDtmf, redis_client: Redis, redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    with user_without(redis_client, redis_server, "lpush") as url:
        set_environment(monkeypatch, url)
        result = send_dtmf.delay(**CALL)
        assert queued(redis_client) == [result.id]
        assert messages(redis_client) == []


@pytest.mark.parametrize("ask", ASKS)
def test_a_server_that_forbids_scripts_says_so_at_once(
    send_dtmf: SendDtmf, redis_client: Redis, redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    # Waiting would not help.
    monkeypatch.setattr(door, "_PATIENCE_S", 10_000)
    with user_without(redis_client, redis_server, "@scripting") as url:
        set_environment(monkeypatch, url)
        with pytest.raises(QueueUnavailable, match=r"NoPermissionError|NOPERM") as caught:
            ASKS[ask](send_dtmf)
        assert PASSWORD not in told(caught.value)
        assert redis_client.keys() == []


def test_a_wrong_password_is_named_as_such_and_not_shown(
    send_dtmf: SendDtmf, redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Waiting would not help.
    monkeypatch.setattr(door, "_PATIENCE_S", 10_000)
    set_environment(monkeypatch, f"redis://crm:{PASSWORD}@127.0.0.1:{redis_server.port}/0")
    with pytest.raises(QueueUnavailable, match=r"refuses the user or password of REDIS_URL") as caught:
        send_dtmf.delay(**CALL)
    assert PASSWORD not in told(caught.value)
    assert "does not answer" not in str(caught.value)


def test_a_server_whose_memory_is_full_refuses_and_keeps_nothing(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    redis_client.config_set("maxmemory", 1)
    try:
        with pytest.raises(SystemQueueFull, match="memory is full; nothing was enqueued"):
            send_dtmf.delay(**CALL)
    finally:
        redis_client.config_set("maxmemory", 0)
    assert redis_client.keys() == []


def test_a_memory_that_fills_after_a_lost_answer_does_not_claim_that_nothing_was_enqueued(
    send_dtmf: SendDtmf, redis_client: Redis, behind_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind_proxy.lose = b"PUBLISH"
    # The pause before the second try is the moment at which the memory fills.
    monkeypatch.setattr("worker.door.time.sleep", lambda _: redis_client.config_set("maxmemory", 1))
    try:
        with pytest.raises(QueueUnavailable, match="task order-1 may or may not have been accepted"):
            send_dtmf.apply_async(kwargs=CALL, task_id="order-1")
    finally:
        redis_client.config_set("maxmemory", 0)
    assert queued(redis_client) == ["order-1"]


def test_waiting_for_a_result_that_does_not_come_ends_when_the_crm_said(send_dtmf: SendDtmf) -> None:
    result = send_dtmf.delay(**CALL)
    with pytest.raises(CeleryTimeout):
        result.get(timeout=0.1)
    result.forget()


def test_every_trouble_with_redis_is_caught_by_one_except_clause() -> None:
    assert issubclass(QueueUnavailable, DtmfError)
    assert issubclass(SystemQueueFull, DtmfError)
