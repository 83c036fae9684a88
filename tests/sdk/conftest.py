from collections.abc import Iterator

import pytest

from tests.ccc.certificates import make_certificates
from tests.sdk.vendor import VENDORS, Access, Vendor, close_sessions
from worker.simulator.config import SimulatorConfig
from worker.simulator.control import SimulatorControl
from worker.simulator.server import running


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both SDKs follow these whatever NO_PROXY says."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="package")
def plain() -> Iterator[SimulatorControl]:
    """A simulator that speaks HTTP."""
    with running() as control:
        yield control
    close_sessions()


@pytest.fixture(scope="package")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimulatorControl, str]]:
    """One that speaks HTTPS, and the file with the authority that signed its certificate."""
    folder = tmp_path_factory.mktemp("tls")
    bundle = make_certificates(folder).bundle
    shown = folder / "trusted.pem"  # the certificate and its key
    with (
        running(SimulatorConfig(tls_cert=shown, tls_key=shown)) as started,
        SimulatorControl(started.url, verify=bundle) as control,
    ):
        yield control, bundle
    close_sessions()


@pytest.fixture
def simulator(plain: SimulatorControl) -> SimulatorControl:
    """The one that speaks HTTP, as it is at the start."""
    plain.reset()
    return plain


@pytest.fixture
def access(simulator: SimulatorControl) -> Access:
    """The way to it."""
    return Access(simulator.url)


@pytest.fixture(params=[*VENDORS.values()], ids=[*VENDORS])
def vendor(request: pytest.FixtureRequest) -> Vendor:
    """Each SDK and each way it signs."""
    chosen: Vendor = request.param
    return chosen
