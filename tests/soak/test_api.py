"""A bad network to the API, an API that is away, and one that throttles; the times are `make soak`'s to judge."""

from tests.soak import api_outages, network, throttling
from tests.soak.conftest import Player


def test_a_bad_network_loses_doubles_and_swaps_nothing(play: Player) -> None:
    assert play(network, 2).broken == []


def test_the_fleet_outlives_an_outage_of_the_api(play: Player) -> None:
    assert play(api_outages, 0).broken == []


def test_a_throttled_fleet_keeps_the_quota_and_loses_doubles_and_swaps_nothing(play: Player) -> None:
    assert play(throttling, 4).broken == []
