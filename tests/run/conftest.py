"""A stage on an empty server."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis

from tests.run.stage import Stage


@pytest.fixture
def set_up(redis_client: Redis) -> Iterator[Callable[..., Stage]]:
    """Sets up a stage with limits (ms) and pace (s) of the test's own."""
    stages: list[Stage] = []

    def set_up(limits: dict[str, Any] | None = None, **pace: Any) -> Stage:
        stage = Stage(redis_client, limits=limits or {}, pace=pace)
        stage.heartbeat.start()
        stages.append(stage)
        return stage

    yield set_up
    for stage in stages:
        stage.heartbeat.stop()


@pytest.fixture
def stage(set_up: Callable[..., Stage]) -> Stage:
    return set_up()
