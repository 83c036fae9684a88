"""Fixtures that the tests share: a real server, emptied for each test."""

from collections.abc import Iterator

import pytest
from redis import Redis

from worker.channel.server import connect
from worker.local.redis import LocalRedis


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    """An embedded server for all tests that leave it as it is."""
    with LocalRedis(tmp_path_factory.mktemp("redis"), fsync="no") as server:
        yield server


@pytest.fixture
def redis_client(redis_server: LocalRedis) -> Iterator[Redis]:
    """A client of the server, which holds nothing."""
    client = connect(redis_server.url, timeout=5)
    client.flushall()
    yield client
    client.close()
