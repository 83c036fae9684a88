"""Producers that have none of our code: their tasks are sent in the order of their list, whatever else stands on it."""

import signal
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import states
from celery.result import AsyncResult

from tests.fleet.conftest import FOUR
from tests.fleet.foreign import LIST, kwargs_of, note, other_celery, protocol_1, protocol_2, put
from tests.fleet.harness import QUICK, Ground, Line, Scene, dice, until
from worker.fleet.intake import LISTS


def state_of(ground: Ground, task_id: str) -> Callable[[], str | None]:
    def ask() -> str | None:
        state = AsyncResult(task_id, app=ground.send_dtmf.app).state
        return state if state != states.PENDING else None

    return ask


def reason(ground: Ground, task_id: str) -> str:
    """The error with which a task that was not enqueued ended."""
    until(state_of(ground, task_id), f"a result of task {task_id}")
    result: AsyncResult[Any] = AsyncResult(task_id, app=ground.send_dtmf.app)
    assert result.state == states.FAILURE
    return f"{type(result.result).__name__}: {result.result}"


def test_another_celery_application_sends_and_reads_the_result(scene: Scene, fleet: Ground, line: Line) -> None:
    with other_celery(fleet) as crm:
        result = crm.send_task("dtmf.send", kwargs=kwargs_of(line, "1234#"), queue="dtmf")
        outcome = result.get(timeout=20)
    note(scene, result.id, line, "1234#")
    assert outcome["state"] == "sent"
    assert len(outcome["digits"]) == 5
    assert scene.keys(line) == "1234#"


def test_bursts_of_another_application_keep_their_order(scene: Scene, fleet: Ground) -> None:
    chance = dice(11)
    lines = [Line.new() for _ in range(24)]
    scene.rule(*lines, latency=[0.005, 0.02])
    with other_celery(fleet) as crm:
        for _ in range(5):
            for line in lines:
                dtmf = "".join(chance.choices("0123456789*#", k=chance.randint(1, 4)))
                result = crm.send_task("dtmf.send", kwargs=kwargs_of(line, dtmf, expires_in=120), queue="dtmf")
                note(scene, result.id, line, dtmf)
    assert scene.verdict(complete=True).broken == []
    assert scene.transcript() == scene.enqueued()


def test_a_killed_intake_loses_and_doubles_nothing(new_ground: Any) -> None:
    ground: Ground = new_ground(DTMF_CONCURRENCY=16, **QUICK)
    ground.start(*FOUR)
    scene = Scene(ground)
    lines = [Line.new() for _ in range(40)]
    scene.rule(*lines, latency=[0.005, 0.02])
    killed = threading.Event()

    def kill_the_intake() -> None:
        until(scene.records, "a first record")
        name = until(lambda: active_intake(ground), "an intake")
        ground.kill(name)
        killed.set()

    def burst(numbers: range) -> None:
        for number in numbers:
            for line in lines:
                dtmf, task_id = f"{number % 10}#", f"{line.job_id}-{number}"
                put(ground.client, protocol_2(kwargs_of(line, dtmf, expires_in=120), task_id))
                note(scene, task_id, line, dtmf)

    killer = threading.Thread(target=kill_the_intake)
    burst(range(10))
    killer.start()
    burst(range(10, 30))
    killer.join()
    burst(range(30, 35))
    assert killed.is_set()
    assert scene.verdict(complete=True).broken == []
    assert scene.transcript() == scene.enqueued()
    assert active_intake(ground) in FOUR
    assert ground.client.exists(LIST) == 0


def active_intake(ground: Ground) -> str | None:
    """The worker that is the intake."""
    return str(ground.client.hget("dtmf:intake", "worker") or "").partition("@")[0] or None


def test_another_worker_is_the_intake_at_once_when_it_is_told_to_stop(new_ground: Any) -> None:
    ground: Ground = new_ground(**QUICK)
    ground.start("first", "second")
    scene, line = Scene(ground), Line.new()
    name = until(lambda: active_intake(ground), "an intake")
    ground.worker(name).signal(signal.SIGTERM)
    until(lambda: active_intake(ground) not in {None, name}, "another intake")
    put(ground.client, protocol_2(kwargs_of(line, "5"), "after"))
    note(scene, "after", line, "5")
    assert scene.settle()["after"].state == "sent"


def test_a_backlog_that_is_older_than_the_fleet_is_sent_alike(new_ground: Any) -> None:
    ground: Ground = new_ground(**QUICK)
    scene, line, other = Scene(ground), Line.new(), Line.new()
    for number in range(20):
        for each in (line, other):
            task_id = f"{each.job_id}-{number}"
            put(ground.client, protocol_2(kwargs_of(each, f"{number % 10}", expires_in=120), task_id))
            note(scene, task_id, each, f"{number % 10}")
    ground.start("late")
    assert scene.verdict(complete=True).broken == []
    assert scene.transcript() == scene.enqueued()


@pytest.mark.parametrize("plain", [False, True], ids=["base64", "plain"])
def test_protocol_1_is_read(scene: Scene, fleet: Ground, line: Line, plain: bool) -> None:
    task_id = f"php_{line.job_id}.12345678"
    put(fleet.client, protocol_1(kwargs_of(line, "42*"), task_id, plain=plain))
    note(scene, task_id, line, "42*")
    assert scene.settle()[task_id].state == "sent"
    assert until(state_of(fleet, task_id), "its result") == states.SUCCESS


def test_lists_of_priorities_are_emptied_too(scene: Scene, fleet: Ground) -> None:
    assert [name.encode() for name in LISTS] == [b"dtmf", b"dtmf\x06\x163", b"dtmf\x06\x166", b"dtmf\x06\x169"]
    for priority in (0, 3, 6, 9):
        line = Line.new()
        with other_celery(fleet) as crm:
            sent = crm.send_task("dtmf.send", kwargs=kwargs_of(line, "7"), queue="dtmf", priority=priority)
        note(scene, sent.id, line, "7")
        assert scene.settle()[sent.id].state == "sent"


def test_a_task_that_is_not_due_makes_what_is_behind_it_wait(scene: Scene, fleet: Ground, line: Line) -> None:
    with other_celery(fleet) as crm:
        first = crm.send_task("dtmf.send", kwargs=kwargs_of(line, "1"), queue="dtmf", countdown=2)
        second = crm.send_task("dtmf.send", kwargs=kwargs_of(line, "2"), queue="dtmf")
    for result, dtmf in ((first, "1"), (second, "2")):
        note(scene, result.id, line, dtmf)
    records = scene.settle()
    assert scene.keys(line) == "12"
    assert records[first.id].digits[0].started_at - records[first.id].enqueued_at > 1500  # type: ignore[operator]


def test_what_has_expired_on_the_list_is_refused(scene: Scene, fleet: Ground, line: Line) -> None:
    gone = (datetime.now(UTC) - timedelta(seconds=5)).isoformat()
    put(fleet.client, protocol_2(kwargs_of(line, "1"), f"{line.job_id}-late", expires=gone))
    assert reason(fleet, f"{line.job_id}-late").startswith("DeadlinePassed: ")
    assert scene.keys(line) == ""


def test_a_broken_channel_refuses_foreign_tasks_too(scene: Scene, fleet: Ground, line: Line) -> None:
    scene.rule(line, error={"code": "NotExists.JobId", "status": 404})
    first = scene.send(line, "1")
    assert scene.record(first).state == "failed"
    put(fleet.client, protocol_2(kwargs_of(line, "2"), f"{line.job_id}-2"))
    assert reason(fleet, f"{line.job_id}-2").startswith("ChannelBroken: ")


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (lambda line: protocol_2(kwargs_of(line, "12x"), f"{line.job_id}-a"), "InvalidTask: dtmf"),
        (lambda line: protocol_2({"channel_id": line.channel_id}, f"{line.job_id}-a"), "needs dtmf and job_id"),
        (lambda line: protocol_2(["1"], f"{line.job_id}-a"), "not a JSON object"),
        (lambda line: protocol_2(kwargs_of(line, "1"), f"{line.job_id}-a", task="crm.other"), "not for dtmf.send"),
        (lambda line: protocol_1(kwargs_of(line, "1"), f"{line.job_id}-a", callbacks=["x"]), "callbacks"),
        (lambda line: protocol_2(kwargs_of(line, "1", user_id="9" * 300), f"{line.job_id}-a"), "user_id must have"),
    ],
    ids=["digit", "missing", "kwargs", "name", "callbacks", "long"],
)
def test_a_malformed_message_gets_a_failure_and_harms_nobody(
    scene: Scene, fleet: Ground, line: Line, message: Callable[[Line], dict[str, Any]], said: str
) -> None:
    before = int(fleet.client.get("dtmf:dead:count") or 0)
    put(fleet.client, message(line), protocol_2(kwargs_of(line, "5"), f"{line.job_id}-b"))
    note(scene, f"{line.job_id}-b", line, "5")
    text = reason(fleet, f"{line.job_id}-a")
    assert said in text
    assert line.channel_id not in text
    assert scene.settle()[f"{line.job_id}-b"].state == "sent"
    assert int(fleet.client.get("dtmf:dead:count") or 0) == before + 1


def test_it_moves_on_without_resting(scene: Scene, fleet: Ground) -> None:
    """A figure for people; benchmarks/intake.py measures it alone."""
    lines = [Line.new() for _ in range(500)]
    began = time.monotonic()
    put(fleet.client, *(protocol_2(kwargs_of(line, "1", expires_in=120), line.job_id) for line in lines))
    for line in lines:
        note(scene, line.job_id, line, "1")
    until(lambda: fleet.client.exists(LIST) == 0, "an empty list")
    print(f"seen: the intake took 500 messages in {time.monotonic() - began:.2f} s")
    assert scene.verdict(complete=True).broken == []
