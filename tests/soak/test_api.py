"""A bad network to the API, an API that is away, and one that throttles; the times are `make soak`'s to judge."""

import pytest

from tests.soak import api_outages, network, throttling
from tests.soak.conftest import Player

# On a busy machine a worker alone may take half a minute to start.
pytestmark = pytest.mark.timeout(600)


def test_a_bad_network_loses_doubles_and_swaps_nothing(play: Player) -> None:
    assert play(network, 1).broken == []


def test_the_fleet_outlives_an_outage_of_the_api(play: Player) -> None:
    assert play(api_outages, 0).broken == []


def test_a_throttled_fleet_keeps_the_quota_and_loses_doubles_and_swaps_nothing(play: Player) -> None:
    assert play(throttling, 2).broken == []
