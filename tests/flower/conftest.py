"""Two workers, a Flower that only shows and one that may write, and a day's tasks."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from tests.fleet.harness import Ground, Line, Scene, Simulator, until
from tests.flower.pages import Pages
from worker.local.processes import start_simulator
from worker.local.redis import free_port
from worker.simulator.control import SimulatorControl

CALLER, CALLED = "01077733355", "13944466622"
PIN = "739174028561#"
WORKERS = ("one", "two")


@dataclass(frozen=True)
class Office:
    """What the tests share."""

    ground: Ground
    scene: Scene
    shown: Pages
    writable: Pages


@pytest.fixture(scope="session")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """All processes, started side by side."""
    folder = tmp_path_factory.mktemp("flower")
    port = free_port()
    with ExitStack() as opened:
        opened.enter_context(start_simulator(port, folder / "simulator.log"))
        control = opened.enter_context(SimulatorControl(f"http://127.0.0.1:{port}"))
        ground = opened.enter_context(Ground(folder, Simulator(port, control), DTMF_CONCURRENCY=8))
        shown = opened.enter_context(Pages(ground.env, folder))
        writable = opened.enter_context(Pages(ground.env, folder, DTMF_FLOWER_WRITABLE=1))
        ground.start(*WORKERS)
        yield Office(ground, Scene(ground), shown.wait(), writable.wait())
        assert not (faults := ground.faults()), "\n".join(faults)


def line_of(name: str) -> Line:
    """A channel whose id holds phone numbers, as CCC's do."""
    return Line(f"ch:customer:{CALLER}->{CALLED}:1609234221870:job-{name}", f"job-{name}")


@pytest.fixture(scope="session")
def day(office: Office) -> dict[str, str]:
    """The ids of tasks by what befell them, all of them shown as ended."""
    scene, send = office.scene, office.ground.send_dtmf
    faults: dict[str, dict[str, Any]] = {
        "failed": {"error": {"code": "InvalidParameter", "status": 400}},
        "gone": {"error": {"code": "NotExists.ChannelId", "status": 404}},
        "unknown": {"error": {"code": "InternalError", "status": 500, "executed": True}},
        "presumed": {"match": {"requests": [1, 2]}, "drop": {"when": "after", "how": "reset"}},
    }
    for name, fault in faults.items():
        scene.rule(line_of(name), **fault)
    held = ("failed", "cancelled", "expired", "sent")
    for name in held:
        send.pause(line_of(name).channel_id)
    long: dict[str, Any] = {"expires_in": 120}
    day = {name: scene.send(line_of(name), PIN, **long).id for name in (*faults, "cancelled", "sent")}
    # Both are sent by the run that was begun for the task ahead of them, or end with it.
    day["sent too"] = scene.send(line_of("sent"), PIN, **long).id
    day["behind"] = scene.send(line_of("failed"), PIN, **long).id
    day["expired"] = scene.send(line_of("expired"), PIN, expires_in=0.5).id
    send.cancel(day["cancelled"])
    for name in held:
        if name != "expired":
            send.resume(line_of(name).channel_id)
    scene.settle()

    def all_ended() -> bool:
        tasks = office.shown.tasks()
        return all(tasks.get(task_id, {}).get("state") in {"SUCCESS", "FAILURE", "REVOKED"} for task_id in day.values())

    until(all_ended, "Flower shows every task as ended")
    return day
