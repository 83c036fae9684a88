"""A day in the life of two workers: one logs JSON at DEBUG and has a Sentry, one logs as it does by default."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.harness import QUICK, Ground, Line, Scene, Simulator, until
from tests.monitoring.catcher import SentryCatcher
from tests.monitoring.sabotage import SABOTAGED_JOB
from worker.local.processes import Child, start_simulator, wait_for_worker
from worker.local.redis import free_port
from worker.simulator.control import SimulatorControl

CALLER, CALLED = "01077733355", "13944466622"
PIN = "739174028561#"
# What a stranger puts into a message of Celery's.
STRANGE = "48151623"
COMMAND = ["celery", "-A", "tests.monitoring.sabotage", "worker", "--without-gossip", "--without-mingle"]


@dataclass
class Day:
    """What the workers said.

    Attributes:
        lines: of the JSON log, parsed.
        printed: what the worker with the JSON log printed beside it.
        text: the other worker's log.
        sentry: what Sentry was sent.
        tasks: ids of the tasks by what befell them.
    """

    sentry: SentryCatcher
    lines: list[dict[str, Any]] = field(default_factory=list)
    printed: str = ""
    text: str = ""
    tasks: dict[str, str] = field(default_factory=dict)

    def events(self, event: str, /, **fields: object) -> list[dict[str, Any]]:
        """The lines of an event with these fields."""
        return [line for line in self.lines if line.get("event") == event and fields.items() <= line.items()]

    def sent(self, message: str) -> list[Any]:
        """The events at Sentry whose message begins so."""
        return [event for event in self.sentry.events() if str(event.get("message")).startswith(message)]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """All of it, played once."""
    folder = tmp_path_factory.mktemp("monitoring")
    port = free_port()
    with (
        SentryCatcher() as sentry,
        start_simulator(port, folder / "simulator.log"),
        SimulatorControl(f"http://127.0.0.1:{port}") as control,
        Ground(folder, Simulator(port, control), SENTRY_DSN=sentry.dsn, SENTRY_ENVIRONMENT="test", **QUICK) as ground,
    ):
        played = Day(sentry)
        log = folder / "worker.json.log"
        options = ["-n", "json@localhost", "--loglevel", "DEBUG", "--logfile", str(log)]
        env = {name: value for name, value in ground.env.items() if name != "DTMF_LOG_LEVEL"}
        with Child([*COMMAND, *options], env=env | {"DTMF_LOG_FORMAT": "json"}, log=folder / "printed.log") as child:
            until(lambda: log.exists() and " ready." in log.read_text(encoding="utf-8"), "the worker with the JSON log")
            _play(ground, played, log)
            assert child.stop() == 0
            played.printed = child.output()
        played.lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        with Child([*COMMAND, "-n", "text@localhost", "-l", "INFO"], env=env, log=folder / "text.log") as child:
            wait_for_worker(child)
            scene = Scene(ground)
            played.tasks["text"] = scene.send(_line("text"), PIN).id
            scene.settle()
            until(lambda: played.tasks["text"] in child.output(), "the line of the record")
            child.stop()
            played.text = child.output()
        yield played


def _line(name: str) -> Line:
    job = SABOTAGED_JOB if name == "sabotaged" else f"job-{name}"
    return Line(f"ch:customer:{CALLER}->{CALLED}:1609234221870:{job}", job)


def _play(ground: Ground, day: Day, log: Path) -> None:
    scene = Scene(ground)
    faults: dict[str, dict[str, Any]] = {
        "sent": {},
        "rejected": {"error": {"code": "InvalidParameter", "status": 400}},
        "rejected too": {"error": {"code": "InvalidParameter", "status": 400}},
        "gone": {"error": {"code": "NotExists.ChannelId", "status": 404}},
        "open": {"error": {"code": "InternalError", "status": 500, "executed": True}},
        "resent": {"match": {"requests": [1, 2]}, "drop": {"when": "after", "how": "reset"}},
        "sabotaged": {},
    }
    # Until the task behind it is enqueued, too.
    ground.send_dtmf.pause(_line("rejected").channel_id)
    for name, fault in faults.items():
        if fault:
            scene.rule(_line(name), **fault)
        day.tasks[name] = scene.send(_line(name), PIN, expires_in=3 if name == "sabotaged" else 20).id
    day.tasks["behind"] = scene.send(_line("rejected"), PIN).id
    ground.send_dtmf.resume(_line("rejected").channel_id)
    day.tasks["cancelled"] = _cancelled(ground, scene)
    for message in _strange_messages():
        ground.client.lpush("dtmf.wake", message)
    scene.settle()
    until(lambda: log.read_text(encoding="utf-8").count('"task.recorded"') == len(day.tasks), "a line of each record")
    until(lambda: log.read_text(encoding="utf-8").count('"message.refused"') == 5, "a line of each refused message")
    until(lambda: day.sent("run.failed"), "Sentry told of the run")


def _cancelled(ground: Ground, scene: Scene) -> str:
    line = _line("cancelled")
    ground.send_dtmf.pause(line.channel_id)
    task_id: str = scene.send(line, PIN).id
    ground.send_dtmf.cancel(task_id)
    return task_id


def _strange_messages() -> list[str]:
    """Messages of Celery's form that no worker takes: for no task that it knows, or not as Celery writes them."""
    clear = {"channel_id": f"ch:{STRANGE}", "dtmf": STRANGE}
    old = {"task": "dtmf.serve", "id": "1c2f", "args": [STRANGE], "kwargs": [STRANGE]}
    return [
        _message("crm.press", json.dumps([[STRANGE], clear, {}])),
        _message(f"press.{STRANGE}", json.dumps([[STRANGE], clear, {}])),
        _message(None, json.dumps(clear)),
        _message(None, json.dumps(old)),
        _message(None, f"dtmf={STRANGE}"),
    ]


def _message(task: str | None, body: str) -> str:
    headers = {"lang": "js", "task": task, "id": "1c2f", "argsrepr": STRANGE, "kwargsrepr": STRANGE} if task else {}
    return json.dumps(
        {
            "body": base64.b64encode(body.encode()).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": headers,
            "properties": {
                "correlation_id": "1c2f",
                "delivery_tag": "1c2f",
                "delivery_info": {"exchange": "dtmf.wake", "routing_key": "dtmf.wake"},
                "body_encoding": "base64",
            },
        }
    )
