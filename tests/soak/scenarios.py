"""All scenarios, in the order in which a soak plays them, and how it divides its time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from tests.fleet.harness import Ground
from tests.soak import (
    api_outages,
    crowds,
    deaths,
    freezes,
    network,
    redis_kills,
    redis_rollbacks,
    redis_troubles,
    restarts,
    throttling,
)
from tests.soak.result import Result


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of them.

    Attributes:
        module: with NAME, SETTINGS and play.
        weight: its share of a soak's time.
    """

    module: ModuleType
    weight: float = 1.0

    @property
    def key(self) -> str:
        """The name of its module."""
        return self.module.__name__.rpartition(".")[2]

    @property
    def name(self) -> str:
        """What people call it."""
        return str(self.module.NAME)

    @property
    def settings(self) -> dict[str, object]:
        """Of its ground."""
        return dict(self.module.SETTINGS)

    @property
    def play(self) -> Callable[[Ground, float], Result]:
        """Plays it on a ground, for about so many seconds."""
        play: Callable[[Ground, float], Result] = self.module.play
        return play


SCENARIOS = (
    Scenario(deaths, 2),
    Scenario(freezes),
    Scenario(restarts, 1.5),
    Scenario(redis_kills, 2),
    Scenario(redis_rollbacks, 1.5),
    Scenario(redis_troubles, 3),
    Scenario(network),
    Scenario(api_outages, 3),
    Scenario(throttling, 2),
    Scenario(crowds, 5),
)


def share_of(scenario: Scenario, chosen: Sequence[Scenario], duration: float) -> float:
    """The seconds of a duration that a scenario gets."""
    return duration * scenario.weight / sum(one.weight for one in chosen)
