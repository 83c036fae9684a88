"""Celery's messages may be lost, doubled or mistaken: what waits in a channel queue is served all the same."""

import time

from tests.figures import report
from tests.fleet.conftest import GroundMaker
from tests.fleet.harness import Ground, Line, Scene
from worker.channel.queue import NewTask
from worker.dial import parse_dial
from worker.record import State
from worker.task import check_task
from worker.vault import channel_digest
from worker.wake import publish_wake

SWEPT_S = 10.0


def test_a_lost_message_delays_its_task_and_no_more(new_ground: GroundMaker) -> None:
    ground = new_ground(DTMF_CONCURRENCY=8)
    scene, lines = Scene(ground), [Line.new() for _ in range(8)]
    for line in lines:
        scene.send(line, "12#", expires_in=60)
    assert ground.client.llen("dtmf.wake") == len(lines)
    ground.client.delete("dtmf.wake")
    ground.start("one")
    assert scene.verdict(complete=True).broken == []
    assert scene.states() == {State.SENT}


def test_celerys_purge_takes_the_messages_and_no_task(new_ground: GroundMaker) -> None:
    ground = new_ground(DTMF_CONCURRENCY=8)
    scene, lines = Scene(ground), [Line.new() for _ in range(8)]
    for line in lines:
        scene.send(line, "12#", expires_in=60)
    assert ground.send_dtmf.app.control.purge() == len(lines)
    ground.start("one")
    assert scene.verdict(complete=True).broken == []
    assert scene.states() == {State.SENT}


def test_a_message_a_hundredfold_presses_nothing_twice(scene: Scene, fleet: Ground) -> None:
    lines = [Line.new() for _ in range(4)]
    scene.rule(*lines, latency=[0.005, 0.02])
    for line in lines:
        scene.send(line, "1234567890*#")
        for _ in range(100):
            publish_wake(fleet.send_dtmf.app, line.digest)
    assert scene.verdict(complete=True).broken == []
    assert scene.transcript() == scene.enqueued()


def test_a_message_for_a_channel_that_nobody_knows_does_nothing(scene: Scene, fleet: Ground, line: Line) -> None:
    for digest in (channel_digest("nobody"), "", "no digest at all"):
        publish_wake(fleet.send_dtmf.app, digest)
    scene.send(line, "12#")
    assert scene.verdict(complete=True).broken == []


def test_a_task_whose_producer_died_before_its_message_is_sent(scene: Scene, fleet: Ground, line: Line) -> None:
    task = check_task(
        channel_id=line.channel_id, job_id=line.job_id, dtmf="12#", default_expires_ms=30_000, default_gap_ms=0
    )
    door = fleet.send_dtmf.door
    new = NewTask(
        id=f"crm-{line.job_id}",
        ch=line.digest,
        n=len(parse_dial("12#").keys),
        lead_ms=0,
        expires_in_ms=30_000,
        deadline_ms=0,
        go_on=False,
        payload=door.vault.encrypt(task.to_payload(), f"crm-{line.job_id}"),
    )
    began = time.time()
    assert door.queue.enqueue(new) == ["PUBLISH"]
    scene.tasks.append((new.id, line, "12#", began))
    assert scene.verdict(complete=True).broken == []
    seconds = scene.heard(line)[0]["executed_at"] - began
    report(f"a task for which no message was published was begun after {seconds:.2f} s")
    assert seconds < SWEPT_S
