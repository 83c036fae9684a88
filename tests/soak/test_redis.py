"""Redis is killed, rolled back, frozen, cut off, full and read-only; the times are `make soak`'s to judge."""

import pytest

from tests.soak import redis_kills, redis_rollbacks, redis_troubles
from tests.soak.conftest import Player

# On a busy machine a worker alone may take half a minute to start.
pytestmark = pytest.mark.timeout(600)


def test_a_killed_redis_that_keeps_everything_loses_and_doubles_nothing(play: Player) -> None:
    assert play(redis_kills, 0).broken == []


def test_a_redis_that_lost_its_last_second_doubles_and_swaps_nothing(play: Player) -> None:
    assert play(redis_rollbacks, 0).broken == []


def test_the_fleet_outlives_every_trouble_of_redis(play: Player) -> None:
    assert play(redis_troubles, 0).broken == []
