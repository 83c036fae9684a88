"""Links, chains, groups and chords: the CRM's own workers are called once a task's digits are heard."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import chain, chord, group

from tests.fleet import crm_app
from tests.fleet.foreign import kwargs_of, note
from tests.fleet.harness import Ground, Line, Scene, until
from worker.errors import ChannelBroken, TaskCancelled
from worker.local.processes import Child

pytestmark = pytest.mark.xdist_group("callbacks")


@pytest.fixture(scope="module")
def crm(fleet: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """The fleet, and the worker of a CRM beside it."""
    command = [sys.executable, "-m", "celery", "-A", "tests.fleet.crm_app", "worker", "-P", "solo"]
    queues = ["-Q", "crm,crm-trouble", "--without-gossip", "--without-mingle"]
    log = tmp_path_factory.mktemp("crm") / "log"
    patch = pytest.MonkeyPatch()
    patch.setattr(crm_app.app.conf, "broker_url", fleet.redis.url)
    patch.setattr(crm_app.app.conf, "result_backend", fleet.redis.url)
    env = fleet.env | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with Child([*command, *queues], env=env, log=log):
        yield fleet
    patch.undo()


def called(ground: Ground, number: int) -> list[list[Any]]:
    """What the CRM's tasks were called with, as soon as there were so many calls; and forget it."""
    calls = until(
        lambda: found if len(found := ground.client.lrange(crm_app.CALLED, 0, -1)) >= number else None,
        f"{number} calls of the CRM's tasks",
    )
    ground.client.delete(crm_app.CALLED)
    return [json.loads(call) for call in calls]


def test_a_link_is_called_with_the_outcome(crm: Ground, scene: Scene, line: Line) -> None:
    result = crm.send_dtmf.apply_async(kwargs=kwargs_of(line, "12#"), link=crm_app.done.s("told"))
    note(scene, result.id, line, "12#")
    [[name, outcome, told]] = called(crm, 1)
    assert (name, outcome["state"], len(outcome["digits"]), told) == ("done", "sent", 3, "told")
    assert result.get(timeout=20)["state"] == "sent"
    assert scene.keys(line) == "12#"


def test_a_link_error_is_called_with_the_id_of_a_task_that_failed(crm: Ground, scene: Scene, line: Line) -> None:
    scene.rule(line, error={"code": "NotExists.JobId", "status": 404})
    result = crm.send_dtmf.apply_async(
        kwargs=kwargs_of(line, "12#"), link=crm_app.done.s(), link_error=crm_app.failed.s()
    )
    assert called(crm, 1) == [["failed", result.id]]


def test_a_cancelled_task_is_revoked_and_tells_its_link_error(crm: Ground, line: Line) -> None:
    crm.send_dtmf.pause(line.channel_id)
    result = crm.send_dtmf.apply_async(kwargs=kwargs_of(line, "12#"), link_error=crm_app.failed.s())
    crm.send_dtmf.cancel(result.id)
    assert called(crm, 1) == [["failed", result.id]]
    with pytest.raises(TaskCancelled):
        result.get(timeout=20)
    assert str(result.state) == "REVOKED"


def test_a_chain_presses_one_task_after_the_other_and_ends_at_the_crm(crm: Ground, scene: Scene) -> None:
    one, two = Line.new(), Line.new()
    send = crm.send_dtmf
    last: Any = chain(
        send.s(**kwargs_of(one, "1")), send.s(**kwargs_of(two, "2")), crm_app.done.s("chained")
    ).apply_async()
    [[name, outcome, told]] = called(crm, 1)
    assert (name, outcome["state"], told) == ("done", "sent", "chained")
    for each, key in ((one, "1"), (two, "2")):
        note(scene, "", each, key)
    assert [scene.keys(one), scene.keys(two)] == ["1", "2"]
    assert scene.heard(one)[0]["seq"] < scene.heard(two)[0]["seq"]
    assert last.get(timeout=20) == "chained"
    assert last.parent.get(timeout=20)["state"] == "sent"


def test_a_chain_whose_first_task_fails_goes_no_further(crm: Ground, scene: Scene) -> None:
    one, two = Line.new(), Line.new()
    scene.rule(one, error={"code": "NotExists.JobId", "status": 404})
    send = crm.send_dtmf
    last: Any = chain(send.s(**kwargs_of(one, "1")), send.s(**kwargs_of(two, "2"))).apply_async(
        link_error=crm_app.failed.s()
    )
    note(scene, "", two, "2")
    assert called(crm, 1)[0][0] == "failed"
    assert until(lambda: last.state != "PENDING" and last.state, "a state of the last") == "FAILURE"
    assert scene.keys(two) == ""


def test_a_task_of_a_chain_that_is_refused_fails_with_the_reason(crm: Ground, scene: Scene) -> None:
    one, broken = Line.new(), Line.new()
    scene.rule(broken, error={"code": "NotExists.JobId", "status": 404})
    assert scene.record(scene.send(broken, "9")).state == "failed"
    send = crm.send_dtmf
    last: Any = chain(send.s(**kwargs_of(one, "1")), send.s(**kwargs_of(broken, "2"))).apply_async()
    with pytest.raises(ChannelBroken):
        last.get(timeout=20)
    assert last.parent.get(timeout=20)["state"] == "sent"


def test_a_group_gives_all_outcomes(crm: Ground) -> None:
    lines = [Line.new() for _ in range(5)]
    result = group(crm.send_dtmf.s(**kwargs_of(line, "1#")) for line in lines).apply_async()
    assert [outcome["state"] for outcome in result.get(timeout=20)] == ["sent"] * 5


def test_a_chord_calls_its_body_once_all_are_sent(crm: Ground) -> None:
    lines = [Line.new() for _ in range(5)]
    result = chord([crm.send_dtmf.s(**kwargs_of(line, "1#")) for line in lines])(crm_app.done.s("all"))
    assert result.get(timeout=20) == "all"
    [[name, outcomes, _]] = called(crm, 1)
    assert (name, [outcome["state"] for outcome in outcomes]) == ("done", ["sent"] * 5)


def test_a_link_to_another_send_presses_its_keys(crm: Ground, scene: Scene, line: Line) -> None:
    other = Line.new()
    crm.send_dtmf.apply_async(kwargs=kwargs_of(line, "1"), link=crm.send_dtmf.s(**kwargs_of(other, "77")))
    note(scene, "", other, "77")
    until(lambda: scene.keys(other) == "77", "the keys of the link")


def test_a_countdown_makes_what_is_behind_it_wait(crm: Ground, scene: Scene, line: Line) -> None:
    first = crm.send_dtmf.apply_async(kwargs=kwargs_of(line, "1"), countdown=2)
    note(scene, first.id, line, "1")
    scene.send(line, "2")
    record = scene.settle()[first.id]
    assert scene.keys(line) == "12"
    assert record.digits[0].started_at - record.enqueued_at > 1500  # type: ignore[operator]
