"""The server itself: killed and started again, or out of memory."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from tests.channel.desk import CH, Desk, eventually, place, sent_on
from worker.channel.server import OUTAGE, connect, explain, is_hindered
from worker.channel.steps import Left, Verdict
from worker.local.redis import LocalRedis, free_port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalRedis]:
    """A server for one test, which writes to disk before it answers."""
    with LocalRedis(tmp_path, fsync="always") as server:
        yield server


def answers(server: LocalRedis) -> bool:
    client = connect(server.url, timeout=5)
    try:
        return bool(client.ping())
    except RedisConnectionError:
        return False
    finally:
        client.close()


def test_a_killed_server_comes_back_with_everything_and_every_digit_in_doubt(server: LocalRedis) -> None:
    client = connect(server.url, timeout=5)
    desk = Desk(client)
    for task in ("t1", "t2", "t3"):
        desk.enqueue(task, n=2)
    step = desk.settle("r1", desk.claim("r1"), Verdict.OK, request_id="req-1")
    desk.queue.cancel("t2")
    server.kill()
    server.start()
    eventually(lambda: answers(server))
    client.close()

    assert desk.waiting() == ["t1", "t3"]
    assert desk.counted() == 2
    assert desk.settled() == [("t2", "cancelled")]
    # The lease still lasts, but it was given by a server that is no more.
    assert desk.settle("r1", step, Verdict.OK) is Left.STALE
    assert desk.queue.beat([(CH, "r1")]) == [CH]
    found = sent_on(desk.claim("r2"))
    assert found.mark == sent_on(step).mark
    assert found.doubt
    step = desk.settle("r2", found, Verdict.PRESUMED)
    assert place(step) == ("t3", 1, 1)
    assert sent_on(step).doubt, "t3 is older than the server's boot"
    desk.enqueue("t4")
    step = desk.settle("r2", desk.settle("r2", step, Verdict.OK), Verdict.OK)
    assert place(step) == ("t4", 1, 1)
    assert not sent_on(step).doubt
    assert desk.outcomes("t1") == ["sent", "presumed"]
    assert desk.record("t1").digits[0].request_id == "req-1"
    client.close()


def test_a_server_that_was_demoted_and_promoted_again_may_have_lost_writes(server: LocalRedis) -> None:
    """The same process, and perhaps an older state: every digit is in doubt."""
    client = connect(server.url, timeout=5)
    desk = Desk(client)
    desk.enqueue("t1")
    step = desk.claim("r1")
    client.replicaof("127.0.0.1", str(free_port()))
    client.replicaof("NO", "ONE")
    assert desk.settle("r1", step, Verdict.OK) is Left.STALE
    found = sent_on(desk.claim("r2"))
    assert found.mark == sent_on(step).mark
    assert found.doubt
    client.close()


def test_the_sweeper_finds_after_a_restart_what_was_served_before_it(server: LocalRedis) -> None:
    client = connect(server.url, timeout=5)
    desk = Desk(client)
    desk.enqueue("t1")
    desk.claim("r1")
    server.kill()
    server.start()
    eventually(lambda: answers(server))
    client.close()
    assert eventually(lambda: desk.sweep(10)) == [CH]
    client.close()


def test_a_server_whose_disk_takes_nothing_is_an_outage(tmp_path: Path) -> None:
    """What is known of a digit is kept through it, as through any other."""
    folder = tmp_path / "data"
    folder.mkdir()
    with LocalRedis(folder, appendonly="no") as server:
        client = connect(server.url, timeout=5)
        desk = Desk(client)
        desk.enqueue("t1")
        step = desk.claim("r1")
        shutil.rmtree(folder)
        client.config_set("save", "3600 1")
        client.bgsave()
        eventually(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        with pytest.raises(OUTAGE) as caught:
            desk.settle("r1", step, Verdict.OK)
        assert "disk is full" in explain(caught.value)
        assert is_hindered(caught.value)
        client.config_set("save", "")
        assert desk.settle("r1", step, Verdict.OK) is Left.EMPTY
        assert desk.state("t1") == "sent"
        client.close()


def test_a_server_without_memory_takes_no_task_and_finishes_those_it_has(server: LocalRedis) -> None:
    client = connect(server.url, timeout=5)
    desk = Desk(client)
    for task in ("t1", "t2", "t3"):
        desk.enqueue(task, n=2)
    desk.enqueue("late")
    desk.redis.config_set("maxmemory", 1)
    with pytest.raises(OutOfMemoryError):
        desk.enqueue("t4")
    assert desk.task("t4") == {}
    step = desk.settle("r1", desk.claim("r1"), Verdict.OK, answer="encrypted")
    assert desk.queue.beat([(CH, "r1")]) == []
    step = desk.settle("r1", step, Verdict.RETRY, code="Throttling")
    assert desk.settle("r1", step, Verdict.OK, stop=True) is Left.HANDED
    assert desk.state("t1") == "sent"
    desk.claim("r2")
    assert desk.release("r2", throttled=True) is Left.HANDED
    assert desk.queue.cancel("t3") == ["DONE"]
    assert desk.queue.pause(CH) == 2
    assert desk.queue.resume(CH)
    assert eventually(lambda: desk.sweep(10)) == [CH]
    assert desk.queue.status("t2")[0] == "sending"
    desk.settle("r3", desk.claim("r3"), Verdict.FAILED, error="Rejected", code="C")
    assert desk.settled()[-2:] == [("t2", "failed"), ("late", "cancelled")]
    desk.redis.config_set("maxmemory", 0)
    desk.queue.resume(CH)
    assert desk.enqueue("t4") == ["PUBLISH"]
    client.close()
