"""Results come from the stream of records: every one is written, whatever becomes of the worker that took it."""

from typing import Any

import pytest

from tests.fleet.conftest import GroundMaker
from tests.fleet.harness import Ground, Line, Scene, stream_counts, until
from worker.errors import TaskCancelled
from worker.fleet.follower import GROUP
from worker.fleet.results import RECORDS


def cancel_many(scene: Scene, how_many: int) -> list[Any]:
    """So many records in the stream, without any worker."""
    line = Line.new()
    scene.ground.send_dtmf.pause(line.channel_id)
    results = [scene.send(line, "1") for _ in range(how_many)]
    for result in results:
        assert scene.ground.send_dtmf.cancel(result.id) == "DONE"
    return results


def results_written(ground: Ground) -> int:
    return sum(1 for _ in ground.client.scan_iter("celery-task-meta-*", count=1000))


def pending(ground: Ground) -> int:
    groups: Any = ground.client.xinfo_groups(RECORDS)
    return int(next(group["pending"] for group in groups if group["name"] == GROUP))


def test_results_taken_by_a_worker_that_died_are_written_by_another(new_ground: GroundMaker) -> None:
    ground = new_ground(DTMF_CONCURRENCY=2)
    scene = Scene(ground)
    results = cancel_many(scene, 600)
    client = ground.client
    client.xgroup_create(RECORDS, GROUP, id="0")
    client.xreadgroup(GROUP, "died@localhost/1", {RECORDS: ">"}, count=50)
    ground.start("killed")
    until(lambda: results_written(ground) > 100, "some results")
    ground.kill("killed")
    written = results_written(ground)
    assert written < len(results)
    ground.start("next")
    until(lambda: results_written(ground) == len(results), "all results")
    until(lambda: pending(ground) == 0, "nothing pending")
    for result in (results[0], results[300], results[-1]):
        with pytest.raises(TaskCancelled):
            result.get(timeout=10)
    assert set(stream_counts(client, (result.id for result in results)).values()) == {1}
    assert ground.faults() == []


def test_results_come_again_after_the_server_lost_everything(new_ground: GroundMaker) -> None:
    ground = new_ground(DTMF_CONCURRENCY=2)
    ground.start("one", "two")
    scene = Scene(ground)
    for _ in range(5):
        ground.client.flushall()
        assert scene.send(Line.new(), "1").get(timeout=30)["state"] == "sent"
    assert ground.faults() == []
    # A worker that stops takes its name out of the group.
    assert ground.worker("one").stop(timeout=40) == 0
    consumers: Any = ground.client.xinfo_consumers(RECORDS, GROUP)
    assert [consumer["name"].partition("/")[0] for consumer in consumers] == ["two@localhost"]
