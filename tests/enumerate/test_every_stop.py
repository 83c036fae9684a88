"""The shorter set of the enumeration; `make enumerate` plays all of it."""

import pytest

from tests.enumerate.cases import Tally
from tests.enumerate.kinds import KINDS, Kind
from tests.enumerate.world import World
from tests.figures import FIGURES


def test_every_promise_holds_at_every_moment(world: World) -> None:
    total = Tally()
    for kind in KINDS:
        for scene in kind.short:
            total.add(kind.play(world, scene))
    FIGURES.append(f"{total.cases.total():,} cases of stops, sleeps and lost answers; `make enumerate` plays all")
    assert not total.broken, f"{total.broken} cases broke a promise. The shortest:\n{total.story}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_kind_is_without_scenes(kind: Kind) -> None:
    assert kind.scenes
    assert set(kind.short) <= set(kind.scenes)
