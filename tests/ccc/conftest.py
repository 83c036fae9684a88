"""What the tests of the client share."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from tests.ccc.certificates import Certificates, make_certificates
from tests.ccc.wire import Script, Server, serving
from worker.ccc.client import CccClient

MakeServer = Callable[..., Server]
MakeClient = Callable[..., CccClient]


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def make_server() -> Iterator[MakeServer]:
    """Start servers that end with the test."""
    with ExitStack() as stack:

        def make(*scripts: Script, **options: Any) -> Server:
            return stack.enter_context(serving(*scripts, **options))

        yield make


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """Make clients of a server (or an endpoint) that are closed at the end of the test."""
    with ExitStack() as stack:

        def make(server: Server | str, **options: Any) -> CccClient:
            if isinstance(server, Server):
                scheme = "https" if server.tls else "http"
                server = f"{scheme}://127.0.0.1:{server.port}"
            return stack.enter_context(closing(CccClient(server, **options)))

        yield make
