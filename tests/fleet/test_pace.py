"""Gaps, pauses, back-offs and the rate limit: kept, and none of the long ones holds a worker's slot."""

from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.figures import report
from tests.fleet.conftest import GroundMaker
from tests.fleet.harness import QUICK, Ground, Line, Scene, until
from worker.record import State

GET_S = 30.0
# The clocks of Redis (whole ms), worker and simulator are read at slightly different places.
SLACK_S = 0.02


def distances(scene: Scene, line: Line) -> list[float]:
    """Seconds between the digits heard."""
    times = [event["executed_at"] for event in scene.heard(line)]
    return [later - sooner for sooner, later in pairwise(times)]


@pytest.fixture(scope="module")
def one_slot(tmp_path_factory: pytest.TempPathFactory, fleet: Ground) -> Iterator[Ground]:
    """A fleet that can serve one channel at a time."""
    folder = tmp_path_factory.mktemp("one-slot")
    with Ground(folder, fleet.simulator, DTMF_CONCURRENCY=1, **QUICK) as ground:
        ground.start("single")
        yield ground
        assert ground.faults() == []


def test_the_gap_between_two_digits_is_kept(scene: Scene, line: Line) -> None:
    scene.send(line, "123", gap_ms=300)
    assert scene.verdict(complete=True).broken == []
    assert min(distances(scene, line)) >= 0.3 - SLACK_S


def test_the_gap_is_kept_towards_the_next_task_too(scene: Scene, line: Line) -> None:
    scene.send(line, "1", gap_ms=400)
    scene.send(line, "2")
    assert scene.verdict(complete=True).broken == []
    assert min(distances(scene, line)) >= 0.4 - SLACK_S


def test_pauses_are_kept_before_between_and_behind_the_keys(scene: Scene, line: Line) -> None:
    first = scene.send(line, "w1w2,3W")
    scene.send(line, "4")
    assert scene.verdict(complete=True).broken == []
    assert scene.keys(line) == "1234"
    begun = scene.record(first).started_at
    assert begun is not None
    assert scene.heard(line)[0]["executed_at"] >= begun / 1000 + 0.5 - SLACK_S
    pauses = distances(scene, line)
    assert all(pause >= least - SLACK_S for pause, least in zip(pauses, [0.5, 0.5, 1.0], strict=True))


def meanwhile(scene: Scene, waiting: Line, other: Line, *, heard: int) -> None:
    """See that another channel is served while the first one waits, which then goes on."""
    until(lambda: len(scene.heard(waiting)) == heard, "the first line's first digits")
    scene.send(other, "56789#")
    verdict = scene.verdict(complete=True)
    assert verdict.broken == []
    between = [event["key"] for event in scene.heard() if event["channel_id"] == other.channel_id]
    order = "".join(event["key"] for event in scene.heard())
    assert "".join(between) == "56789#"
    assert order.index("#") < order.rindex(scene.keys(waiting)[-1])


def test_a_long_pause_leaves_the_only_slot_to_another_channel(one_slot: Ground) -> None:
    scene, waiting, other = Scene(one_slot), Line.new(), Line.new()
    scene.send(waiting, "1WW2")
    meanwhile(scene, waiting, other, heard=1)
    assert distances(scene, waiting)[0] >= 2 - SLACK_S
    assert scene.states() == {State.SENT}


def test_a_long_gap_leaves_the_only_slot_to_another_channel(one_slot: Ground) -> None:
    scene, waiting, other = Scene(one_slot), Line.new(), Line.new()
    scene.send(waiting, "12", gap_ms=2000)
    meanwhile(scene, waiting, other, heard=1)
    assert distances(scene, waiting)[0] >= 2 - SLACK_S


def test_a_long_back_off_leaves_the_only_slot_to_another_channel(one_slot: Ground) -> None:
    scene, waiting, other = Scene(one_slot), Line.new(), Line.new()
    scene.rule(
        waiting,
        match={"requests": 2},
        error={"code": "ServiceUnavailable", "status": 503, "retry_after_ms": 2000},
    )
    scene.send(waiting, "12")
    until(lambda: len(scene.requests(waiting)) == 2, "the refusal")
    meanwhile(scene, waiting, other, heard=1)
    assert distances(scene, waiting)[0] >= 2 - SLACK_S


def test_the_fleet_keeps_to_its_rate(new_ground: GroundMaker) -> None:
    rate, lines = 20, [Line.new() for _ in range(12)]
    ground = new_ground(DTMF_CONCURRENCY=8, DTMF_RATE_PER_SECOND=rate)
    ground.start("a", "b")
    scene = Scene(ground)
    for line in lines:
        scene.send(line, "12345", expires_in=60)
    assert scene.verdict(complete=True).broken == []
    times = sorted(event["executed_at"] for event in scene.heard())
    most = max(sum(start <= moment < start + 1 for moment in times) for start in times)
    report(
        f"at {rate} digits a second at the most, {len(times)} took {times[-1] - times[0]:.2f} s, {most} in the fullest"
    )
    assert times[-1] - times[0] >= (len(times) - 1) / rate * 0.9
    # Digits that were let go in time may bunch up on the way through a busy machine.
    assert most <= rate * 2
