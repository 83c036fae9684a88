"""What the tests share: a real server, emptied for each test, and how they are dealt out to two processes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from redis import Redis

from tests.figures import FIGURES
from worker.channel.server import connect
from worker.local.redis import LocalRedis

# No test asserts a time that a busy machine could miss.
settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")
LONGEST = {"fleet", "soak"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep a module's tests together, and all that share workers; what takes longest begins."""
    for item in items:
        folder, *_ = item.path.relative_to(Path(__file__).parent).parts
        item.add_marker(pytest.mark.xdist_group(folder if folder in {*LONGEST, "flower"} else str(item.path)))
    items.sort(key=lambda item: LONGEST.isdisjoint(item.path.parts))


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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Pass the figures that were seen from a process of tests to the one that shows them."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["figures"] = FIGURES


def pytest_testnodedown(node: Any) -> None:
    """Take them."""
    FIGURES.extend(getattr(node, "workeroutput", {}).get("figures", []))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures that were seen."""
    for figure in FIGURES:
        terminalreporter.write_line(f"seen: {figure}")
