"""tail: records as they come, and those that are there."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.channel.desk import Desk as Queues
from tests.cli.conftest import Dtmf
from tests.cli.desk import PYTHON, Terminal
from worker.channel.server import connect
from worker.channel.steps import Verdict
from worker.local.processes import Child
from worker.local.redis import LocalRedis


def settle(queues: Queues, task: str, verdict: Verdict = Verdict.OK, **facts: Any) -> None:
    """A task that ends."""
    queues.queue.resume("c" * 32)
    queues.enqueue(task)
    queues.settle("run-1", queues.take("run-1"), verdict, **facts)


def ids(shown: str) -> list[str]:
    return re.findall(r"\d/\d (\S+)", shown)


@pytest.fixture
def five(queues: Queues) -> Queues:
    """Five tasks have ended."""
    settle(queues, "t1")
    settle(queues, "t2", Verdict.FAILED, error="Gone", code="NotExists.ChannelId", gone=True)
    settle(queues, "t3", Verdict.PRESUMED)
    settle(queues, "t4", Verdict.FAILED, error="Rejected", code="InvalidParameter")
    settle(queues, "t5")
    return queues


@pytest.mark.usefixtures("five")
def test_the_last_records_come_oldest_first_a_line_each(dtmf: Dtmf) -> None:
    done = dtmf("tail", "--last", "4", "--no-follow")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d failed     0/1 t2 NotExists.ChannelId", lines[0])
    assert re.fullmatch(r"\d\d:\d\d:\d\d presumed   1/1 t3 \d+\.\d s", lines[1])
    assert ids(done.stdout) == ["t2", "t3", "t4", "t5"]


@pytest.mark.usefixtures("five")
def test_the_last_in_a_state_are_looked_for_among_all(dtmf: Dtmf) -> None:
    assert ids(dtmf("tail", "--last", "1", "--state", "presumed", "--no-follow").stdout) == ["t3"]
    both = dtmf("tail", "--last", "9", "--state", "presumed", "--state", "failed", "--no-follow")
    assert ids(both.stdout) == ["t2", "t3", "t4"]


def test_more_records_than_one_answer_holds_are_shown_once_each(dtmf: Dtmf, queues: Queues) -> None:
    for i in range(450):
        settle(queues, f"t{i}")
    assert ids(dtmf("tail", "--last", "430", "--no-follow").stdout) == [f"t{i}" for i in range(20, 450)]
    assert ids(dtmf("tail", "--since", "1h", "--no-follow").stdout) == [f"t{i}" for i in range(450)]


def test_since_leaves_out_what_is_older(dtmf: Dtmf, redis_client: Redis, five: Queues) -> None:
    old = five.stream()[0].model_copy(update={"id": "old"}).model_dump_json()
    redis_client.delete("dtmf:records")
    redis_client.xadd("dtmf:records", {"record": old}, id=f"{int(time.time() * 1000) - 7_200_000}-0")
    settle(five, "t6")
    assert ids(dtmf("tail", "--since", "1h", "--no-follow").stdout) == ["t6"]
    assert ids(dtmf("tail", "--since", "3h", "--no-follow").stdout) == ["old", "t6"]


def test_programs_get_the_records_as_they_stand_in_the_stream(dtmf: Dtmf, five: Queues) -> None:
    shown = dtmf("tail", "--since", "1h", "--no-follow", "--json").stdout.splitlines()
    assert shown == [fields["record"] for _, fields in five.redis.xrange("dtmf:records")]
    assert json.loads(shown[0])["id"] == "t1"


def test_what_stands_in_the_stream_and_is_no_record_is_passed_over(
    dtmf: Dtmf, redis_client: Redis, queues: Queues
) -> None:
    redis_client.xadd("dtmf:records", {"record": "{}"})
    redis_client.xadd("dtmf:records", {"another": "field"})
    settle(queues, "t1")
    assert ids(dtmf("tail", "--since", "1h", "--no-follow").stdout) == ["t1"]


def test_of_an_empty_stream_nothing_is_shown(dtmf: Dtmf) -> None:
    for begin in (("--last", "3"), ("--since", "1h")):
        done = dtmf("tail", *begin, "--no-follow")
        assert (done.exit_code, done.stdout) == (0, "")


@pytest.mark.usefixtures("dtmf")
def test_records_are_shown_as_they_come_until_ctrl_c(queues: Queues) -> None:
    settle(queues, "before")
    settle(queues, "last")
    with Terminal("tail", "--last", "1", env=dict(os.environ)) as terminal:
        terminal.wait_for(" last ")
        settle(queues, "t1")
        terminal.wait_for(" t1 ")
        settle(queues, "t2", Verdict.FAILED, error="Rejected", code="InvalidParameter")
        terminal.wait_for(" t2 InvalidParameter")
        terminal.interrupt()
        assert terminal.end() == 0
    assert ids(terminal.shown) == ["last", "t1", "t2"]
    assert "Traceback" not in terminal.shown


def test_an_outage_of_redis_is_outlived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtmf: Dtmf) -> None:
    del dtmf  # it sets the environment
    with LocalRedis(tmp_path / "redis") as server:
        monkeypatch.setenv("REDIS_URL", server.url)
        queues = Queues(connect(server.url, timeout=5))
        settle(queues, "t1")
        command = [PYTHON, "-m", "worker", "tail", "--last", "1"]
        with Child(command, env=dict(os.environ), log=tmp_path / "log") as child:
            child.wait_until(lambda text: " t1 " in text, "dtmf tail")
            server.kill()
            child.wait_until(lambda text: "trying again" in text, "the outage")
            server.start()
            settle(queues, "t2")
            child.wait_until(lambda text: " t2 " in text, "the record after the outage")
            assert "Redis is back" in child.output()
            assert ids(child.output()) == ["t1", "t2"]
        queues.redis.close()
