"""Workers that are killed, or stand still for longer than their lease, in the middle of their calls."""

import signal
import time

from tests.figures import report
from tests.fleet.harness import Ground, Line, Scene, dice, until
from worker.record import State

# The promise is 2 s; the rest is for a machine that runs all of this on two cores.
RECOVERY_S = 10.0


def crowd(scene: Scene, *, lines: int = 60, tasks: int = 4) -> list[Line]:
    """So many busy channels, each with so many tasks; by default more than three workers of the fleet can hold."""
    chance = dice(3)
    crowd = [Line.new() for _ in range(lines)]
    scene.rule(*crowd, latency=[0.005, 0.02], answer_after=[0.02, 0.06])
    for _ in range(tasks):
        for line in crowd:
            scene.send(line, "".join(chance.choices("0123456789*#", k=5)), expires_in=120)
    return crowd


def heard_at_least(scene: Scene, share: float) -> None:
    wanted = share * sum(len(task[2]) for task in scene.tasks)
    until(lambda: len(scene.heard()) >= wanted, f"{share:.0%} of the digits heard")


def at_work(scene: Scene, worker: str) -> None:
    """Wait until a worker has ended a task, when there is still enough to do."""
    heard_at_least(scene, 0.2)
    until(lambda: any(record.worker == f"{worker}@localhost" for record in scene.records().values()), "it at work")


def longest_silence(scene: Scene, since: float) -> float:
    """The longest time for which a channel that had digits to come heard none, after a moment."""
    last: dict[str, float] = {}
    longest = 0.0
    for event in scene.heard():
        if event["executed_at"] > since:
            longest = max(longest, event["executed_at"] - last.get(event["channel_id"], since))
            last[event["channel_id"]] = event["executed_at"]
    return longest


def test_a_killed_worker_loses_doubles_and_swaps_nothing(scene: Scene, fleet: Ground) -> None:
    crowd(scene)
    at_work(scene, "two")
    killed_at = time.time()
    fleet.kill("two")
    fleet.start("two")
    verdict = scene.verdict(complete=True)
    silence = longest_silence(scene, killed_at)
    report(f"of 4 workers one was killed: no channel was silent for more than {silence:.2f} s")
    assert verdict.broken == []
    assert scene.transcript() == scene.enqueued()
    assert scene.states() <= {State.SENT, State.PRESUMED}
    assert silence < RECOVERY_S


def test_a_worker_that_stood_still_beyond_its_lease_harms_nothing(scene: Scene, fleet: Ground) -> None:
    crowd(scene)
    at_work(scene, "three")
    fleet.worker("three").signal(signal.SIGSTOP)
    stopped_at = time.time()

    def all_heard_since() -> bool:
        later = {event["channel_id"] for event in scene.heard() if event["executed_at"] > stopped_at}
        heard, enqueued = scene.transcript(), scene.enqueued()
        return all(channel in later or heard[channel] == enqueued[channel] for channel in enqueued)

    until(all_heard_since, "every channel went on with the other workers")
    fleet.worker("three").signal(signal.SIGCONT)
    silence = longest_silence(scene, stopped_at)
    verdict = scene.verdict(complete=True)
    report(f"of 4 workers one stood still: no channel was silent for more than {silence:.2f} s")
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
