"""Workers that are killed, or stand still for longer than their lease, in the middle of their calls."""

import signal
import time

from tests.fleet.harness import Ground, Line, Scene, dice, report, until
from worker.record import State

# The promise is 2 s; the rest is for a machine that runs all of this on two cores.
RECOVERY_S = 10.0


def crowd(scene: Scene, *, lines: int = 40, tasks: int = 5, keys: int = 5) -> list[Line]:
    """So many busy channels, each with so many tasks."""
    chance = dice(3)
    crowd = [Line.new() for _ in range(lines)]
    scene.rule(*crowd, latency=[0.005, 0.02], answer_after=[0.02, 0.06])
    for _ in range(tasks):
        for line in crowd:
            scene.send(line, "".join(chance.choices("0123456789*#", k=keys)), expires_in=120)
    return crowd


def heard_at_least(scene: Scene, share: float) -> None:
    wanted = share * sum(len(task[2]) for task in scene.tasks)
    until(lambda: len(scene.heard()) >= wanted, f"{share:.0%} of the digits heard")


def longest_silence(scene: Scene, since: float) -> float:
    """Of the channels that had digits to come: the longest time from a moment to the first one heard after it."""
    first: dict[str, float] = {}
    for event in scene.heard():
        if event["executed_at"] > since:
            first.setdefault(event["channel_id"], event["executed_at"] - since)
    return max(first.values())


def test_a_killed_worker_loses_doubles_and_swaps_nothing(scene: Scene, fleet: Ground) -> None:
    crowd(scene)
    heard_at_least(scene, 0.3)
    killed_at = time.time()
    fleet.kill("two")
    fleet.start("two")
    verdict = scene.verdict(complete=True)
    silence = longest_silence(scene, killed_at)
    report(f"every channel of a fleet of 4 was heard again {silence:.2f} s after a worker was killed, or sooner")
    assert verdict.broken == []
    assert scene.transcript() == scene.enqueued()
    assert scene.states() <= {State.SENT, State.PRESUMED}
    assert silence < RECOVERY_S


def test_a_worker_that_stood_still_beyond_its_lease_harms_nothing(scene: Scene, fleet: Ground) -> None:
    lines = crowd(scene)
    heard_at_least(scene, 0.2)
    stopped_at = time.time()
    fleet.worker("three").signal(signal.SIGSTOP)

    def all_heard_since() -> bool:
        later = {event["channel_id"] for event in scene.heard() if event["executed_at"] > stopped_at}
        return len(later) == len(lines)

    until(all_heard_since, "every channel heard by the other workers")
    silence = longest_silence(scene, stopped_at)
    fleet.worker("three").signal(signal.SIGCONT)
    verdict = scene.verdict(complete=True)
    report(f"every channel was heard again {silence:.2f} s after a worker stood still, or sooner")
    assert verdict.broken == []
    assert scene.transcript() == scene.enqueued()
    assert scene.states() <= {State.SENT, State.PRESUMED}
    assert silence < RECOVERY_S


def test_a_worker_that_stood_still_works_again(scene: Scene, fleet: Ground, line: Line) -> None:
    for name in fleet.names:
        fleet.worker(name).signal(signal.SIGSTOP)
    result = scene.send(line, "12#", expires_in=60)
    for name in fleet.names:
        fleet.worker(name).signal(signal.SIGCONT)
    assert result.get(timeout=30)["state"] == "sent"
    assert scene.verdict(complete=True).broken == []
