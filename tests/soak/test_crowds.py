"""Many channels with one waiting task each beside a few with many."""

from tests.soak import crowds
from tests.soak.conftest import Player


def test_nobody_starves_in_a_crowd_of_channels(play: Player) -> None:
    assert play(crowds, 0).broken == []
