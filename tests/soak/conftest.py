"""The fleet's simulator, and a ground for each scenario."""

from collections.abc import Callable
from types import ModuleType

import pytest

from tests.fleet.conftest import GroundMaker, new_ground, simulator
from tests.soak.result import Result

__all__ = ["new_ground", "simulator"]
Player = Callable[..., Result]


@pytest.fixture
def play(new_ground: GroundMaker) -> Player:
    """Plays a scenario on a ground of its own, and shows its figures."""

    def play(scenario: ModuleType, seconds: float) -> Result:
        result: Result = scenario.play(new_ground(**scenario.SETTINGS), seconds)
        result.tell(scenario.NAME)
        return result

    return play
