from collections.abc import Iterator

import pytest

from tests.simulator.sender import Sender
from worker.simulator.control import SimulatorControl
from worker.simulator.server import running


@pytest.fixture(scope="package")
def shared_simulator() -> Iterator[SimulatorControl]:
    with running() as control:
        yield control


@pytest.fixture
def simulator(shared_simulator: SimulatorControl) -> SimulatorControl:
    """A simulator as it is at the start."""
    shared_simulator.reset()
    return shared_simulator


@pytest.fixture
def sender(simulator: SimulatorControl) -> Iterator[Sender]:
    made = Sender(simulator.url)
    yield made
    made.close()
