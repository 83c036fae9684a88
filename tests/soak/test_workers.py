"""Workers that are killed, stand still or are restarted one after another; the times are `make soak`'s to judge."""

import pytest

from tests.soak import deaths, freezes, restarts
from tests.soak.conftest import Player

# On a busy machine a worker alone may take half a minute to start.
pytestmark = pytest.mark.timeout(600)


def test_killed_workers_lose_double_and_swap_nothing(play: Player) -> None:
    assert play(deaths, 0).broken == []


def test_workers_that_stood_still_beyond_their_lease_press_no_stale_digit(play: Player) -> None:
    assert play(freezes, 0).broken == []


def test_a_rolling_restart_loses_doubles_and_swaps_nothing(play: Player) -> None:
    assert play(restarts, 0).broken == []
