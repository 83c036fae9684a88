"""Bursts on many channels at once: every channel hears its keys once and in the order of their tasks."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from random import Random

from tests.fleet.harness import Ground, Line, Scene, dice, stream_counts
from worker.record import State

BURST = 5


def network(scene: Scene, lines: Iterable[Line]) -> None:
    scene.rule(*lines, latency=[0.005, 0.02])


def burst(scene: Scene, line: Line, chance: Random) -> None:
    for _ in range(BURST):
        keys = "".join(chance.choices("0123456789*#", k=chance.randint(1, 4)))
        scene.send(line, keys, expires_in=120)


def test_every_channel_hears_its_bursts_once_and_in_order(scene: Scene) -> None:
    chance = dice(1)
    lines = [Line.new() for _ in range(48)]
    network(scene, lines)
    for _ in range(2):
        for line in lines:
            burst(scene, line, chance)
    verdict = scene.verdict(complete=True)
    assert verdict.broken == []
    assert verdict.heard == verdict.enqueued
    assert scene.transcript() == scene.enqueued()


def test_one_busy_channel_hears_its_bursts_once_and_in_order(scene: Scene, line: Line) -> None:
    chance = dice(2)
    network(scene, [line])
    for _ in range(8):
        burst(scene, line, chance)
    assert scene.verdict(complete=True).broken == []
    assert scene.transcript() == scene.enqueued()


def test_a_task_enqueued_by_two_producers_at_once_is_pressed_once(scene: Scene, fleet: Ground) -> None:
    lines = [Line.new() for _ in range(15)]
    network(scene, lines)
    producers = [fleet.new_producer() for _ in range(2)]

    def enqueue(line: Line) -> None:
        with ThreadPoolExecutor(2) as both:
            task_id = f"crm-{line.job_id}"
            for done in [both.submit(scene.send, line, "1234#", by=by, task_id=task_id) for by in producers]:
                done.result()

    for line in lines:
        enqueue(line)
    scene.tasks = scene.tasks[::2]
    assert scene.verdict(complete=True).broken == []
    assert [scene.keys(line) for line in lines] == ["1234#"] * len(lines)
    assert set(stream_counts(fleet.client, (task[0] for task in scene.tasks)).values()) == {1}
    assert scene.states() == {State.SENT}
