"""The intake dies, or is paused and wakes up late: another takes over, and no message is lost or doubled."""

import signal
import time

import pytest

from tests.figures import report
from tests.fleet.conftest import GroundMaker
from tests.fleet.foreign import LIST, kwargs_of, note, protocol_2, put
from tests.fleet.harness import QUICK, Ground, Line, Scene, until
from tests.fleet.test_intake import active_intake

BACKLOG = 2000
# Promised are 2 s; a busy machine may take longer.
TAKEN_OVER_S = 15.0


def fill(ground: Ground, scene: Scene) -> None:
    """Messages of 200 lines, more than the intake takes in a moment."""
    lines = [Line.new() for _ in range(200)]
    messages = []
    for number in range(BACKLOG):
        line, dtmf, task_id = lines[number % len(lines)], str(number // len(lines) % 10), f"backlog-{number}"
        messages.append(protocol_2(kwargs_of(line, dtmf, expires_in=3600), task_id))
        note(scene, task_id, line, dtmf)
    put(ground.client, *messages)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_another_takes_over_in_the_middle_of_a_backlog(new_ground: GroundMaker, how: signal.Signals) -> None:
    ground = new_ground(DTMF_CONCURRENCY=16, **QUICK)
    ground.start("one", "two")
    scene = Scene(ground)
    first = until(lambda: active_intake(ground), "an intake")
    fill(ground, scene)
    until(lambda: ground.client.llen(LIST) < BACKLOG, "a message that was taken")
    ground.worker(first).signal(how)
    began, left = time.monotonic(), ground.client.llen(LIST)
    until(lambda: active_intake(ground) not in {None, first}, "another intake")
    seconds = time.monotonic() - began
    report(f"the intake was taken over {seconds:.2f} s after {how.name}, with {left} messages on the list")
    assert seconds < TAKEN_OVER_S
    until(lambda: not ground.client.exists(LIST), "an empty list", 120)
    if how == signal.SIGSTOP:
        ground.worker(first).signal(signal.SIGCONT)
    scene.settle(120)
    assert scene.verdict(complete=True).broken == []
    assert scene.transcript() == scene.enqueued()
    assert ground.client.get("dtmf:dead:count") is None
