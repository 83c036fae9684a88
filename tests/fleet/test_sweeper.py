"""Recovery without a broker: a worker serves what its sweeper finds itself, as far as it has free slots."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from redis import Redis

from config.celery import WAKE_QUEUE
from tests.fleet.conftest import GroundMaker
from tests.fleet.harness import Line, Scene, until
from worker.channel.queue import ChannelQueue, Limits, NewTask
from worker.fleet.slots import Slots
from worker.fleet.sweeper import Sweeper
from worker.record import State


def test_a_worker_that_gets_no_messages_serves_what_waits(new_ground: GroundMaker) -> None:
    """As after an outage, while Celery has not come back yet."""
    ground = new_ground(DTMF_CONCURRENCY=4)
    ground.start("one")
    scene, lines = Scene(ground), [Line.new() for _ in range(12)]
    assert ground.send_dtmf.app.control.cancel_consumer(WAKE_QUEUE, reply=True, timeout=20, limit=1)
    for line in lines:
        scene.send(line, "12#", expires_in=60)
    assert scene.verdict(complete=True).broken == []
    assert scene.states() == {State.SENT}
    assert ground.faults() == []


def test_a_server_without_memory_serves_what_waits_though_it_takes_no_messages(new_ground: GroundMaker) -> None:
    ground = new_ground(DTMF_CONCURRENCY=2)
    scene, lines = Scene(ground), [Line.new() for _ in range(6)]
    for line in lines:
        scene.send(line, "1W2#", expires_in=60)
    ground.start("one")
    with closing(Redis(port=ground.redis.port)) as client:
        client.delete(WAKE_QUEUE)
        client.config_set("maxmemory", 1)
        assert scene.verdict(complete=True).broken == []
        client.config_set("maxmemory", 0)
    # kombu logs a traceback of its own.
    assert "thread.failed" not in ground.logs()


@pytest.fixture
def queue(redis_client: Redis) -> ChannelQueue:
    """Five channels that nobody serves."""
    made = ChannelQueue(redis_client, Limits())
    for ch in "abcde":
        made.enqueue(NewTask(f"t-{ch}", ch, 1, 0, 60_000, 0, go_on=False, payload="encrypted"))
        redis_client.zadd("dtmf:due", {ch: 1})
    return made


def had_a_run(client: Redis, ch: str) -> None:
    """And it left the channel without a message."""
    client.hset(f"dtmf:ch:{ch}", "epoch", 1)


def sweeper_of(queue: ChannelQueue, slots: Slots, threads: ThreadPoolExecutor, published: list[str]) -> Sweeper:
    return Sweeper(
        queue,
        free=lambda: slots.free,
        line_moves=lambda: slots.line_moves,
        take=lambda ch: slots.take(ch, threads),
        publish=published.append,
        every=0.2,
    )


def test_what_a_worker_has_no_slots_for_is_left_to_others(queue: ChannelQueue, redis_client: Redis) -> None:
    now = int(redis_client.time()[0]) * 1000
    redis_client.zadd("dtmf:due", dict.fromkeys("de", now))
    served: list[str] = []
    published: list[str] = []
    go_on = threading.Event()

    def serve(ch: str) -> None:
        served.append(ch)
        go_on.wait(30)

    slots = Slots(3, serve)
    with ThreadPoolExecutor(3) as threads:
        message = threading.Thread(target=slots.serve, args=("from a message",))
        message.start()
        until(lambda: served, "the message served")
        sweeper = sweeper_of(queue, slots, threads, published)
        for ch in "ab":
            had_a_run(redis_client, ch)
        sweeper.sweep()
        assert not slots.free
        # Another worker may have a slot: only what nobody took for a second gets a message.
        assert published == ["c"]
        redis_client.zadd("dtmf:due", dict.fromkeys("de", 2))
        sweeper.sweep()
        assert published == ["c", "d", "e"]
        go_on.set()
        message.join()
    assert sorted(served) == ["a", "b", "from a message"]
    assert slots.free


def test_what_stands_in_line_is_not_served_before_its_turn(queue: ChannelQueue, redis_client: Redis) -> None:
    """While messages come: a run that died is replaced at once, all others get in line."""
    served: list[str] = []
    published: list[str] = []
    had_a_run(redis_client, "c")
    slots = Slots(9, served.append)
    with ThreadPoolExecutor(9) as threads:
        slots.serve("from a message")
        sweeper_of(queue, slots, threads, published).sweep()
        assert published == ["a", "b", "d", "e"]
        until(lambda: served == ["from a message", "c"], "the one that had a run")
        redis_client.zadd("dtmf:due", dict.fromkeys("abde", 1))
        until(lambda: not slots.line_moves, "the line to stand")
        sweeper_of(queue, slots, threads, published).sweep()
        until(lambda: set("abde") <= set(served), "what stood in a line that moves no more")
    assert published == ["a", "b", "d", "e"]


def test_threads_that_are_shut_down_take_nothing(queue: ChannelQueue) -> None:
    published: list[str] = []
    slots, threads = Slots(3, published.append), ThreadPoolExecutor(3)
    threads.shutdown()
    sweeper_of(queue, slots, threads, published).sweep()
    assert published == ["a", "b", "c", "d", "e"]
    assert slots.free


def test_a_run_that_raises_gives_its_slot_back() -> None:
    def fail(ch: str) -> None:
        raise LookupError(ch)

    slots = Slots(1, fail)
    with pytest.raises(LookupError):
        slots.serve("a")
    assert slots.free
