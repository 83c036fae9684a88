"""A bad network to the API, an API that is away, and one that throttles; the times are `make soak`'s to judge."""

from tests.soak import network
from tests.soak.conftest import Player


def test_a_bad_network_loses_doubles_and_swaps_nothing(play: Player) -> None:
    assert play(network, 2).broken == []
