"""One simulator for all, one fleet for the tests that leave it as it is, and grounds for those that do not."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fleet.harness import QUICK, Ground, Line, Scene, Simulator
from worker.local.processes import start_simulator
from worker.local.redis import free_port
from worker.simulator.control import SimulatorControl

FOUR = ("one", "two", "three", "four")
GroundMaker = Callable[..., Ground]


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """The simulator. Every test uses channels of its own, and puts settings back."""
    port = free_port()
    log = tmp_path_factory.mktemp("simulator") / "log"
    with start_simulator(port, log), SimulatorControl(f"http://127.0.0.1:{port}") as control:
        yield Simulator(port, control)


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Ground]:
    """Four workers of 16 threads each. A test that ends one starts another."""
    with Ground(tmp_path_factory.mktemp("fleet"), simulator, DTMF_CONCURRENCY=16, **QUICK) as ground:
        ground.start(*FOUR)
        yield ground
        assert not (faults := ground.faults()), "\n".join(faults)


@pytest.fixture
def scene(fleet: Ground) -> Scene:
    """A scene on the fleet."""
    return Scene(fleet)


@pytest.fixture
def line() -> Line:
    """A channel."""
    return Line.new()


@pytest.fixture
def new_ground(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[GroundMaker]:
    """Makes grounds with a server and workers of their own, ended with the test."""
    with ExitStack() as opened:

        def make(**settings: object) -> Ground:
            folder: Path = tmp_path_factory.mktemp("ground")
            return opened.enter_context(Ground(folder, simulator, **settings))

        yield make
