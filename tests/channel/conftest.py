"""A desk on an empty server."""

import pytest
from redis import Redis

from tests.channel.desk import Desk


@pytest.fixture
def desk(redis_client: Redis) -> Desk:
    return Desk(redis_client)
