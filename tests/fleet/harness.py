"""What the fleet's tests share: a ground (server, simulator, workers) and a scene on it (tasks, and the verdict)."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, NoReturn, Self, TypeVar

import pytest
from redis import Redis

from worker.celery_app import DtmfCelery
from worker.channel.server import connect
from worker.demo.verdict import Enqueued, Verdict, judge
from worker.dial import parse_dial
from worker.local.processes import Child, start_worker, wait_for_worker, worker_environment
from worker.local.redis import LocalRedis
from worker.producer import SendDtmf
from worker.record import Record, State
from worker.simulator.control import SimulatorControl
from worker.task import SEND_TASK
from worker.vault import channel_digest
from worker.wake import SERVE_TASK

PATIENCE_S = 40.0
# Shorter than the defaults, so that a scene in which the API does not answer is over soon.
QUICK = {
    "DTMF_CONNECT_TIMEOUT_MS": 1000,
    "DTMF_READ_TIMEOUT_MS": 1000,
    "DTMF_TOTAL_TIMEOUT_MS": 1500,
    "DTMF_HOLD_MS": 1500,
}
FAULTY_LINES = ("Traceback", "thread.failed", "run.failed", "CRITICAL")
_numbers = count(1)
T = TypeVar("T")


def until(ask: Callable[[], T | None], what: str, timeout: float = PATIENCE_S) -> T:
    """Ask again and again until the answer is true, and return it; fail after so many seconds."""
    end = time.monotonic() + timeout
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout:.0f} s: {what}")
        time.sleep(0.02)


def dice(seed: int) -> Random:
    """Chances that are the same in every run."""
    return Random(seed)  # noqa: S311 - guards nothing


@dataclass(frozen=True, slots=True)
class Simulator:
    """The running simulator and its control client."""

    port: int
    control: SimulatorControl


@dataclass(frozen=True, slots=True)
class Line:
    """A channel of a call, of which no other test knows."""

    channel_id: str
    job_id: str

    @classmethod
    def new(cls) -> Self:
        """A fresh one, named as the API names them."""
        number = next(_numbers)
        job = f"job-{65735740600893440 + number}"
        return cls(f"ch:customer:010{89800000 + number}->131{88800000 + number}:{1609234221870 + number}:{job}", job)

    @property
    def digest(self) -> str:
        """Its name in Redis."""
        return channel_digest(self.channel_id)


class Ground:
    """A server of its own, the simulator, and whatever workers are started on it."""

    def __init__(self, folder: Path, simulator: Simulator, **settings: object) -> None:
        """settings: of its workers, and fsync: the server's appendfsync."""
        self.folder = folder
        self.simulator = simulator
        self.redis = LocalRedis(folder / "redis", fsync=str(settings.pop("fsync", "no")))
        self._settings = settings
        self._open = ExitStack()
        self._workers: dict[str, Child] = {}
        self._all: list[Child] = []

    def __enter__(self) -> Self:
        self._open.enter_context(self.redis)
        return self

    def __exit__(self, *_: object) -> None:
        self.end_workers()
        self._open.close()

    @cached_property
    def env(self) -> dict[str, str]:
        """The environment of its workers."""
        return worker_environment(self.redis.url, self.simulator.port, DTMF_LOG_LEVEL="DEBUG", **self._settings)

    @cached_property
    def client(self) -> "Redis":
        """A client of its server."""
        client = connect(self.redis.url, timeout=10)
        self._open.callback(client.close)
        return client

    @cached_property
    def send_dtmf(self) -> SendDtmf:
        """The producer's task, of an application of its own under this ground's settings."""
        return self.new_producer()

    def new_producer(self) -> SendDtmf:
        """A further producer, which shares nothing with the others of this process."""
        with pytest.MonkeyPatch.context() as patch:
            for name in ("REDIS_URL", "DTMF_SECRET_KEYS"):
                patch.setenv(name, self.env[name])
            app = DtmfCelery("worker", set_as_current=False)
            app.task(name=SERVE_TASK, shared=False, ignore_result=True)(_not_here)
            app.task(name=SEND_TASK, shared=False, base=SendDtmf)(_not_here)
            task = app.tasks[SEND_TASK]
            assert isinstance(task, SendDtmf)
            assert task.door.settings.REDIS_URL.get_secret_value() == app.conf.broker_url
        self._open.callback(_close, app, task)
        return task

    def start(self, *names: str, **settings: object) -> list[Child]:
        """Start workers side by side; they are ready when this returns."""
        env = self.env | {name: str(value) for name, value in settings.items()}
        for name in names:
            log = self.folder / f"{name}-{len(self._all)}.log"
            self._workers[name] = start_worker(name, env, log)
            self._all.append(self._workers[name])
        return [wait_for_worker(self._workers[name]) for name in names]

    @property
    def names(self) -> list[str]:
        """The names of its workers."""
        return list(self._workers)

    def worker(self, name: str) -> Child:
        """The last worker that was started under a name."""
        return self._workers[name]

    def kill(self, name: str) -> None:
        """End a worker as kill -9 does."""
        self.worker(name).kill()

    def end_workers(self) -> None:
        """End every worker that still runs."""
        for child in self._all:
            child.kill()

    def logs(self) -> str:
        """All that its workers printed."""
        return "".join(child.output() for child in self._all)

    def faults(self) -> list[str]:
        """Lines of the logs that no worker should ever print."""
        return [line for line in self.logs().splitlines() if any(sign in line for sign in FAULTY_LINES)]


@dataclass(eq=False)
class Scene:
    """One test's tasks on a ground, and what became of them."""

    ground: Ground
    tasks: list[tuple[str, Line, str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        stats = self.control.stats()
        self.since_heard, self.since_requests = stats["heard"], stats["requests"]

    @property
    def control(self) -> SimulatorControl:
        """The simulator's control."""
        return self.ground.simulator.control

    def rule(self, *lines: Line, match: dict[str, Any] | None = None, **fault: object) -> None:
        """What befalls the requests of these lines."""
        channels = [line.channel_id for line in lines]
        self.control.add_rules({"match": {"channel": channels, **(match or {})}, **fault})

    def send(self, line: Line, dtmf: str, *, by: SendDtmf | None = None, **options: Any) -> Any:
        """Enqueue a task; answers its AsyncResult."""
        celery_own = {name: options.pop(name) for name in ("task_id", "expires") if name in options}
        kwargs = {"channel_id": line.channel_id, "job_id": line.job_id, "dtmf": dtmf, **options}
        at = time.time()
        result = (by or self.ground.send_dtmf).apply_async(kwargs=kwargs, **celery_own)
        self.tasks.append((result.id, line, parse_dial(dtmf).keys, at))
        return result

    def records(self) -> dict[str, Record]:
        """The records that there are, by task."""
        ids = list(dict.fromkeys(task[0] for task in self.tasks))
        with self.ground.client.pipeline(transaction=False) as pipe:
            for task_id in ids:
                pipe.hget(f"dtmf:rec:{task_id}", "record")
            answers = pipe.execute()
        return {task_id: Record.model_validate_json(text) for task_id, text in zip(ids, answers, strict=True) if text}

    def settle(self, timeout: float = PATIENCE_S) -> dict[str, Record]:
        """Wait until every task has its record."""
        ids = {task[0] for task in self.tasks}

        def all_of_them() -> dict[str, Record]:
            found = self.records()
            return found if len(found) == len(ids) else {}

        return until(all_of_them, "a record of every task", timeout)

    def record(self, result: Any) -> Record:
        """The record of a task, once there is one."""
        return until(lambda: self.records().get(result.id), f"the record of task {result.id}")

    def heard(self, line: Line | None = None) -> list[dict[str, Any]]:
        """The digits heard since the scene began, on one line or on all of the scene."""
        channels = {line.channel_id} if line else {task[1].channel_id for task in self.tasks}
        return [event for event in self.control.heard(self.since_heard) if event["channel_id"] in channels]

    def keys(self, line: Line) -> str:
        """The keys heard on a line, in order."""
        return "".join(event["key"] for event in self.heard(line))

    def transcript(self) -> dict[str, str]:
        """The keys heard on each channel of the scene."""
        found = dict.fromkeys((task[1].channel_id for task in self.tasks), "")
        for event in self.heard():
            found[event["channel_id"]] += event["key"]
        return found

    def enqueued(self) -> dict[str, str]:
        """The keys enqueued on each channel of the scene."""
        found = dict.fromkeys((task[1].channel_id for task in self.tasks), "")
        for _, line, keys, _ in self.tasks:
            found[line.channel_id] += keys
        return found

    def requests(self, line: Line) -> list[dict[str, Any]]:
        """The requests done with since the scene began, of one line."""
        events = self.control.requests(self.since_requests)
        return [event for event in events if event["channel_id"] == line.channel_id]

    def verdict(self, *, complete: bool = False, timeout: float = PATIENCE_S) -> Verdict:
        """What the simulator's log says, once every task has its record. complete: every digit must be heard."""
        records = self.settle(timeout)
        tasks = [
            Enqueued(task_id, line.channel_id, keys, at, records[task_id].deadline / 1000)
            for task_id, line, keys, at in self.tasks
        ]
        lines = {task.channel_id for task in tasks} if complete else set()
        return judge(tasks, records, self.heard(), self.ground.send_dtmf.door.vault, must_be_complete=lines)

    def states(self) -> set[State]:
        """The states in which tasks ended."""
        return {record.state for record in self.settle().values()}


def outcomes(record: Record) -> list[str]:
    """What became of each digit."""
    return [str(digit.outcome) for digit in record.digits]


def stream_counts(client: "Redis", ids: Iterable[str]) -> dict[str, int]:
    """How many records the stream has of each task."""
    wanted = dict.fromkeys(ids, 0)
    for _, fields in _entries(client):
        found = json.loads(fields["record"])["id"]
        if found in wanted:
            wanted[found] += 1
    return wanted


def _entries(client: "Redis") -> Iterator[tuple[str, dict[str, str]]]:
    answer: Any = client.xrange("dtmf:records")
    yield from answer


def _close(app: DtmfCelery, task: SendDtmf) -> None:
    task.door.queue._client.close()
    backend: Any = app.backend
    backend.result_consumer.stop()
    app.close()


def _not_here(*_: object, **__: object) -> NoReturn:
    raise AssertionError("a producer runs no task")
