"""Workers that are told to stop: they finish the digit on its way, hand over their channels and are gone."""

import os
import signal
import time

from tests.figures import report
from tests.fleet.conftest import GroundMaker
from tests.fleet.harness import QUICK, Ground, Line, Scene, until
from tests.fleet.test_death import at_work, crowd, heard_at_least, longest_silence
from worker.record import State

# The promise is 15 s to be gone; the rest is for the machine.
GONE_S = 18.0
GOES_ON_S = 10.0


def stop(ground: Ground, name: str) -> tuple[int, float]:
    """Tell a worker to stop; its exit status, and after how many seconds it was gone."""
    began = time.monotonic()
    status = ground.worker(name).stop(timeout=60)
    return status, time.monotonic() - began


def test_a_worker_that_stops_under_load_loses_and_doubles_nothing(scene: Scene, fleet: Ground) -> None:
    crowd(scene)
    at_work(scene, "four")
    told_at = time.time()
    status, seconds = stop(fleet, "four")
    verdict = scene.verdict(complete=True)
    silence = longest_silence(scene, told_at)
    fleet.start("four")
    report(f"a worker under load was gone {seconds:.2f} s after SIGTERM; no channel silent for over {silence:.2f} s")
    assert status == 0
    assert seconds < GONE_S
    assert verdict.broken == []
    assert scene.transcript() == scene.enqueued()
    assert scene.states() <= {State.SENT, State.PRESUMED}
    assert silence < GOES_ON_S


def test_a_worker_finishes_the_digit_on_its_way_and_hands_over_the_rest(new_ground: GroundMaker) -> None:
    ground = new_ground(DTMF_CONCURRENCY=8)
    scene, slow, silent, waiting = Scene(ground), Line.new(), Line.new(), Line.new()
    ground.start("first")
    scene.rule(slow, match={"requests": 1}, answer_after=2.5)
    scene.rule(silent, match={"requests": 1}, answer_after=60)
    on_slow, on_silent = scene.send(slow, "12#", expires_in=90), scene.send(silent, "34#", expires_in=90)
    on_waiting = scene.send(waiting, "5WWWWW6", expires_in=90)
    rest = scene.send(slow, "789#", expires_in=90)
    until(lambda: len(scene.heard()) == 3, "the first digit of each line heard")
    status, seconds = stop(ground, "first")
    report(f"a worker whose API never answers was gone {seconds:.2f} s after SIGTERM")
    assert (status, seconds < GONE_S) == (0, True)
    assert ground.client.zcard("dtmf:due") == 3
    ground.start("second")
    assert scene.verdict(complete=True).broken == []
    assert scene.record(rest).worker == "second@localhost"
    first = scene.record(on_slow).digits[0]
    assert (first.outcome, first.attempts) == ("sent", 1)
    assert len(scene.requests(slow)) == 7
    assert scene.record(on_silent).digits[0].outcome == "presumed"
    assert scene.record(on_waiting).state is State.SENT
    assert ground.faults() == []


def test_a_worker_is_gone_in_time_although_redis_stands_still(new_ground: GroundMaker) -> None:
    ground = new_ground(DTMF_CONCURRENCY=4, **QUICK)
    ground.start("first")
    scene = Scene(ground)
    crowd(scene, lines=4, tasks=2)
    heard_at_least(scene, 0.1)
    server = int(ground.client.info("server")["process_id"])
    os.kill(server, signal.SIGSTOP)
    try:
        status, seconds = stop(ground, "first")
    finally:
        os.kill(server, signal.SIGCONT)
    report(f"a worker whose Redis stood still was gone {seconds:.2f} s after SIGTERM")
    assert (status, seconds < GONE_S) == (0, True)
    ground.start("second")
    assert scene.verdict(complete=True).broken == []
    assert scene.states() <= {State.SENT, State.PRESUMED}
