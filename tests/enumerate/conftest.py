"""A world on the server of all tests."""

import logging
from collections.abc import Iterator

import pytest
from redis import Redis

from tests.enumerate.world import World, world_of


@pytest.fixture
def world(redis_client: Redis) -> Iterator[World]:
    logging.disable(logging.CRITICAL)
    with world_of(redis_client) as world:
        yield world
    logging.disable(logging.NOTSET)
