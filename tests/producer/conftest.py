"""A CRM's process with a real server."""

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.producer.crm import Hands, fresh_send_dtmf, set_environment
from worker.local.redis import LocalRedis
from worker.producer import SendDtmf


@pytest.fixture
def send_dtmf(redis_server: LocalRedis, redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[SendDtmf]:
    """send_dtmf under the settings of a producer; a test may set more before its first use."""
    del redis_client  # it empties the server
    set_environment(monkeypatch, redis_server.url)
    with fresh_send_dtmf() as task:
        yield task


@pytest.fixture
def hands(redis_client: Redis) -> Hands:
    """A worker's steps on the channel."""
    return Hands(redis_client)
