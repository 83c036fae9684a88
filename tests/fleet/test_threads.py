"""The threads beside a worker's runs: what they do when the server is away, or a channel comes back."""

import time
from contextlib import closing
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from redis import Redis

from tests.fleet.harness import until
from worker.channel.queue import ChannelQueue, Limits, NewTask, Signer
from worker.channel.server import connect
from worker.channel.steps import Left, Send
from worker.clock import clock
from worker.fleet.heartbeat import Heartbeat
from worker.fleet.loop import Loop
from worker.lease import Run
from worker.local.redis import LocalRedis, free_port

SIGNER = Signer("kid", "ak")


def test_a_thread_does_not_spin_while_the_server_is_away() -> None:
    client = connect(f"redis://127.0.0.1:{free_port()}", timeout=1)
    turns: list[float] = []

    def turn() -> None:
        turns.append(time.monotonic())
        client.ping()

    loop = Loop("test", turn, 0)
    loop.start()
    until(lambda: len(turns) > 3, "a few turns")
    loop.stop()
    assert all(later - sooner > 0.1 for sooner, later in pairwise(turns))


def test_a_thread_goes_on_after_an_error_that_nobody_expected(caplog: pytest.LogCaptureFixture) -> None:
    """A heartbeat or a sweeper that ended would be missed only when the next worker dies."""
    turns: list[int] = []

    def turn() -> None:
        turns.append(1)
        if len(turns) == 1:
            raise LookupError

    loop = Loop("test", turn, 0)
    loop.start()
    until(lambda: len(turns) > 2, "turns after the error")
    loop.stop()
    assert "thread.failed thread=test" in caplog.text


def test_a_server_that_takes_no_writes_is_said_once_and_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    turns: list[int] = []
    with LocalRedis(tmp_path, fsync="no") as server, closing(connect(server.url, timeout=5)) as client:

        def turn() -> None:
            turns.append(1)
            client.set("a", "b")

        client.config_set("maxmemory", 1)
        loop = Loop("test", turn, 0)
        loop.start()
        until(lambda: len(turns) > 2, "turns without memory")
        client.config_set("maxmemory", 0)
        until(lambda: "redis.back" in caplog.text, "a turn with memory")
        loop.stop()
    assert caplog.text.count("redis.down thread=test error=OutOfMemoryError") == 1
    assert "thread.failed" not in caplog.text


def test_a_server_that_becomes_a_replica_while_a_call_waits_in_it_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The follower waits in it for most of its time."""
    with LocalRedis(tmp_path, fsync="no") as server, closing(connect(server.url, timeout=30)) as client:
        loop = Loop("test", lambda: client.blpop(["list"], 20), 0)
        loop.start()
        until(lambda: client.info("clients")["blocked_clients"] == 1, "the call waits")
        client.replicaof("127.0.0.1", str(free_port()))
        until(lambda: "redis.down thread=test" in caplog.text, "the call ended")
        client.replicaof("NO", "ONE")
        client.rpush("list", "something")
        loop.stop()
    assert "thread.failed" not in caplog.text


@pytest.fixture
def queue(redis_client: Redis) -> ChannelQueue:
    """A queue whose leases are over at once, with a channel of one task."""
    made = ChannelQueue(redis_client, Limits(lease=1))
    made.enqueue(NewTask("task", "ch", 1, 0, 60_000, 0, False, "payload"))
    return made


def test_a_channel_that_came_back_to_its_process_is_not_lost_with_the_run_that_lost_it(queue: ChannelQueue) -> None:
    heartbeat = Heartbeat(queue, 0.3)
    old, new = Run("ch"), Run("ch")
    for run in (old, new):
        until(partial(claimed, queue, run.token), "the channel claimed")
        run.busy_until = clock() + 60
    with heartbeat(old), heartbeat(new):
        heartbeat.beat()
        assert (old.lost, new.lost) == (True, False)
    with heartbeat(new), heartbeat(old):
        old.lost = False
        heartbeat.beat()
        assert (old.lost, new.lost) == (True, False)


def claimed(queue: ChannelQueue, token: str) -> bool:
    step = queue.claim("ch", token, SIGNER)
    assert isinstance(step, Send) or step is Left.BUSY
    return isinstance(step, Send)
