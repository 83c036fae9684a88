"""send_many: thousands of tasks in few round trips, all or none of each channel."""

from typing import Any

import pytest
from celery.result import AsyncResult
from redis import Redis
from redis.exceptions import OutOfMemoryError

from tests.producer.crm import CALL, PERSONAL, Hands, everything_in
from worker.errors import ChannelBroken, ChannelQueueFull, InvalidTask, QueueUnavailable, SystemQueueFull
from worker.producer import SendDtmf
from worker.vault import channel_digest


def task(channel: int, **more: Any) -> dict[str, Any]:
    return {**CALL, "channel_id": f"ch:{channel}", **more}


def waiting(client: Redis, channel: int) -> list[str]:
    answer: Any = client.lrange(f"dtmf:q:{channel_digest(f'ch:{channel}')}", 0, -1)
    return list(answer)


def round_trips(client: Redis) -> int:
    """Commands that a client sent by itself; those of a pipeline arrive together."""
    info: Any = client.info("stats")
    return int(info["total_reads_processed"])


def test_tasks_of_many_channels_are_enqueued_in_their_order(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    tasks = [task(number % 300, task_id=f"t{number}") for number in range(3000)]
    before = round_trips(redis_client)
    results = send_dtmf.send_many(tasks)
    assert round_trips(redis_client) - before < 200
    assert [result.id for result in results if isinstance(result, AsyncResult)] == [one["task_id"] for one in tasks]
    for channel in range(300):
        assert waiting(redis_client, channel) == [f"t{number}" for number in range(channel, 3000, 300)]
    assert not any(personal in everything_in(redis_client) for personal in PERSONAL)


def test_a_few_channels_are_woken_at_once_and_the_rest_by_the_sweepers(
    send_dtmf: SendDtmf, redis_client: Redis
) -> None:
    send_dtmf.send_many(task(number) for number in range(100))
    woken: Any = redis_client.llen("dtmf.wake")
    assert woken == 20
    seconds, micros = redis_client.time()
    assert redis_client.zcount("dtmf:due", "-inf", seconds * 1000 + micros // 1000) == 80


def test_a_channel_takes_all_of_its_tasks_or_none(
    send_dtmf: SendDtmf, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DTMF_CHANNEL_LIMIT", "3")
    many = [task(1) for _ in range(4)]
    few = [task(2) for _ in range(3)]
    results = send_dtmf.send_many([many[0], few[0], many[1], few[1], many[2], few[2], many[3]])
    refused = [results[place] for place in (0, 2, 4, 6)]
    assert all(isinstance(one, ChannelQueueFull) for one in refused)
    assert waiting(redis_client, 1) == []
    assert len(waiting(redis_client, 2)) == 3
    assert [one.id for one in results if isinstance(one, AsyncResult)] == waiting(redis_client, 2)


def test_a_broken_channel_refuses_its_tasks_alone(send_dtmf: SendDtmf, hands: Hands) -> None:
    send_dtmf.delay(**CALL)
    hands.fail()
    first, second = send_dtmf.send_many([CALL, task(2)])
    assert isinstance(first, ChannelBroken)
    assert isinstance(second, AsyncResult)


def test_one_wrong_task_and_nothing_is_enqueued(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    with pytest.raises(InvalidTask, match=r"^task 2: dtmf: .*; nothing was enqueued$") as caught:
        send_dtmf.send_many([task(1), task(2, dtmf="12x4"), task(3)])
    assert caught.value.__context__ is None
    with pytest.raises(InvalidTask, match=r"^task 1: it is no mapping"):
        send_dtmf.send_many(["8001735"])  # type: ignore[list-item]
    assert redis_client.keys() == []


def test_the_same_ids_again_change_nothing(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    tasks = [task(1, task_id=f"t{number}", countdown=5, expires=60) for number in range(5)]
    send_dtmf.send_many(tasks)
    again = send_dtmf.send_many(tasks)
    assert [one.id for one in again if isinstance(one, AsyncResult)] == [f"t{number}" for number in range(5)]
    assert waiting(redis_client, 1) == [f"t{number}" for number in range(5)]
    assert int(redis_client.get("dtmf:waiting") or 0) == 5


def test_a_full_server_refuses(send_dtmf: SendDtmf, monkeypatch: pytest.MonkeyPatch) -> None:
    door = send_dtmf.door
    monkeypatch.setattr("worker.door._PATIENCE_S", 0.3)
    monkeypatch.setattr(type(door.queue), "enqueue_many", lambda _, channels: [OutOfMemoryError()] * len(channels))
    assert all(isinstance(one, SystemQueueFull) for one in send_dtmf.send_many([task(1), task(2)]))


def test_nobody_at_the_other_end_leaves_it_open(send_dtmf: SendDtmf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr("worker.door._PATIENCE_S", 0.3)
    results = send_dtmf.send_many(task(number) for number in range(1000))
    assert len(results) == 1000
    assert all(isinstance(one, QueueUnavailable) for one in results)
