"""Many channels with one waiting task each beside a few with many."""

import pytest

from tests.soak import crowds
from tests.soak.conftest import Player

# On a busy machine a worker alone may take half a minute to start.
pytestmark = pytest.mark.timeout(600)


def test_nobody_starves_in_a_crowd_of_channels(play: Player) -> None:
    assert play(crowds, 0).broken == []
