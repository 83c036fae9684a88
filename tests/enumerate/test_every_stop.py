"""The shorter set of the enumeration; `make enumerate` plays all of it."""

import pytest

from tests.enumerate.acts import STOP
from tests.enumerate.cases import Tally, run_case
from tests.enumerate.kinds import KINDS, Kind
from tests.enumerate.scenes import Scene
from tests.enumerate.world import World
from tests.figures import FIGURES


def test_every_promise_holds_at_every_moment(world: World) -> None:
    total = Tally()
    for kind in KINDS:
        for scene in kind.short:
            total.add(kind.play(world, scene))
    FIGURES.append(f"{total.cases:,} cases of stops, sleeps and lost answers; `make enumerate` plays all")
    assert not total.broken, f"{total.broken} cases broke a promise. The shortest:\n{total.story}"


def test_a_channel_whose_worker_died_goes_on_within_two_seconds(world: World) -> None:
    scene = Scene((2, 1))
    run_case(world, scene, {})
    for moment in range(1, world.moments + 1):
        world.reset(scene.for_simulator(), {moment: STOP})
        scene.set_up(world)
        world.go_on()
        assert world.passed_ms <= 2000, f"stopped at moment {moment}: {world.trace}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_kind_is_without_scenes(kind: Kind) -> None:
    assert kind.scenes
    assert set(kind.short) <= set(kind.scenes)
