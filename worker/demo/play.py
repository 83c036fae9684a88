"""Plays the scene: servers and workers as processes, the producer in this one, a worker killed in the middle."""

import os
import signal
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.demo.scene import (
    CLOSING_INSTANCE,
    INSTANCE,
    KILL_AT_S,
    KINDS,
    THROTTLE_AT_S,
    Line,
    Press,
    late_rules,
    lines,
    presses,
    rules,
)
from worker.demo.verdict import Enqueued, Verdict, judge
from worker.dial import PAUSES_MS
from worker.errors import ChannelBroken, DtmfError
from worker.local.processes import (
    Child,
    start_simulator,
    start_worker,
    wait_for_worker,
    worker_environment,
)
from worker.local.redis import LocalRedis, free_port
from worker.record import Record
from worker.simulator.control import SimulatorControl
from worker.vault import Vault, decode_secret_key

PATIENCE_S = 40.0
WORKERS = ("one", "two")
# The last word of the killed worker's requests may still be on its way to the simulator's log.
_SETTLE_S = 0.5


@dataclass(slots=True)
class Played:
    """What came of the scene.

    Attributes:
        verdict: of the simulator's log.
        channels: how many there were.
        refused: tasks that were not accepted, because their line was broken.
        killed_at: when a worker was killed, in s since 1970.
        silences: for each healthy channel with digits to come, the seconds from the kill to its next digit.
    """

    verdict: Verdict
    channels: int
    refused: int
    killed_at: float
    silences: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Stage:
    """The processes that play."""

    control: SimulatorControl
    workers: dict[str, Child]
    environment: dict[str, str]
    folder: Path

    def restart(self, name: str) -> None:
        """Start a worker that was killed, as Heroku and Kubernetes do."""
        self.workers[name] = start_worker(name, self.environment, self.folder / f"{name}-again.log")


@contextmanager
def stage(folder: Path, say: Callable[[str], None]) -> Iterator[Stage]:
    """Start Redis, the simulator and two workers on free loopback ports; end all of them at the end."""
    with ExitStack() as stack:
        say("starting an embedded Redis")
        redis = stack.enter_context(LocalRedis(folder / "redis"))
        say("starting the simulator")
        port = free_port()
        instances = ("--instance", INSTANCE, "--instance", CLOSING_INSTANCE)
        heard = ("--log", str(folder / "simulator.jsonl"))
        stack.enter_context(start_simulator(port, folder / "simulator.log", *instances, *heard))
        control = stack.enter_context(SimulatorControl(f"http://127.0.0.1:{port}"))
        environment = worker_environment(redis.url, port, DTMF_CONCURRENCY=96)
        say("starting two Celery workers")
        workers = {name: start_worker(name, environment, folder / f"{name}.log") for name in WORKERS}
        for name in WORKERS:
            stack.callback(_stop_one, workers, name)
        # A second Ctrl-C must not keep the first from ending them all.
        stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)
        for worker in workers.values():
            wait_for_worker(worker)
        yield Stage(control, workers, environment, folder)


def _stop_one(workers: dict[str, Child], name: str) -> None:
    # By name, at the end: the one that was killed has a successor by then.
    workers[name].stop()


def play(on: Stage, progress: Callable[[int, int, int], None], say: Callable[[str], None]) -> Played:
    """Enqueue the scene while a worker is killed, wait for every record, and judge.

    Args:
        on: the processes.
        progress: told how many tasks are to come in all, how many were enqueued or refused, how many ended.
        say: told what happens.
    """
    os.environ.update({name: on.environment[name] for name in ("REDIS_URL", "DTMF_SECRET_KEYS")})
    return _Play(on, progress, say).to_the_end()


class _Play:
    """The producer's side of the scene."""

    def __init__(self, on: Stage, progress: Callable[[int, int, int], None], say: Callable[[str], None]) -> None:
        from worker import send_dtmf  # noqa: PLC0415 - it reads the settings

        self._send_dtmf = send_dtmf
        self._on = on
        self._progress = progress
        self._say = say
        self._cast = lines()
        self._script = presses(self._cast)
        self._accepted: list[Enqueued] = []
        self._records: dict[str, Record] = {}
        self._open: deque[str] = deque()
        self._refused = 0
        self._killed_at = 0.0
        self._shown = 0.0

    def to_the_end(self) -> Played:
        self._on.control.set_scene({"rules": rules(self._cast)})
        began, throttled = time.monotonic(), False
        for press in self._script:
            while time.monotonic() < began + press.at:
                self._look_at_one()
                self._show()
                time.sleep(0.001)
            if not self._killed_at and press.at > KILL_AT_S:
                self._kill_one()
            if not throttled and press.at > THROTTLE_AT_S:
                throttled = True
                self._on.control.add_rules(*late_rules(self._cast))
                self._say("the API throttles from now on; the fleet slows down together")
            self._enqueue(press)
            self._show()
        end = time.monotonic() + PATIENCE_S
        while len(self._records) < len(self._accepted) and time.monotonic() < end:
            for _ in range(len(self._open)):
                self._look_at_one()
            self._show()
            time.sleep(0.1)
        time.sleep(_SETTLE_S)
        return self._judge()

    def _kill_one(self) -> None:
        self._on.workers[WORKERS[0]].kill()
        self._killed_at = time.time()
        self._say(f"worker {WORKERS[0]} was killed (SIGKILL); it is started again, as a platform would")
        self._on.restart(WORKERS[0])

    def _enqueue(self, press: Press) -> None:
        line, at = press.line, time.time()
        try:
            result = self._send_dtmf.delay(
                channel_id=line.channel_id,
                job_id=line.job_id,
                instance_id=line.instance_id,
                dtmf=press.dtmf,
                **press.options,
            )
        except ChannelBroken:
            self._refused += 1
            return
        keys = "".join(key for key in press.dtmf if key not in PAUSES_MS)
        # Counted from after the call: the true deadline, from the server's clock, is earlier.
        deadline = time.time() + float(press.options.get("expires_in", 30))
        self._open.append(result.id)
        self._accepted.append(Enqueued(result.id, line.channel_id, keys, at, deadline))

    def _look_at_one(self) -> None:
        """While there is time between two tasks: whether the one that was enqueued longest ago has ended."""
        if self._open:
            task_id = self._open.popleft()
            status = self._send_dtmf.status(task_id)
            if status and status.record:
                self._records[task_id] = status.record
            else:
                self._open.append(task_id)

    def _show(self) -> None:
        if time.monotonic() > self._shown + 0.2:
            self._shown = time.monotonic()
            ended = len(self._records) + self._refused
            self._progress(len(self._script), len(self._accepted) + self._refused, ended)

    def _judge(self) -> Played:
        heard = self._on.control.heard()
        if not heard:
            raise DtmfError(f"the simulator heard nothing; the logs are in {self._on.folder}")
        vault = Vault([decode_secret_key(self._on.environment["DTMF_SECRET_KEYS"])])
        complete = [line.channel_id for line in self._cast if KINDS[line.kind][1]]
        requests = self._on.control.requests()
        verdict = judge(self._accepted, self._records, heard, vault, must_be_complete=complete, requests=requests)
        silences = _silences(self._cast, self._accepted, heard, self._killed_at)
        self._progress(len(self._script), len(self._script), len(self._records) + self._refused)
        return Played(verdict, len(self._cast), self._refused, self._killed_at, silences)


def _silences(cast: list[Line], accepted: list[Enqueued], heard: list[dict[str, Any]], killed_at: float) -> list[float]:
    """For each healthy channel that had digits to come when the worker was killed: seconds to its next digit."""
    to_come: Counter[str] = Counter()
    for task in accepted:
        if task.at < killed_at:
            to_come[task.channel_id] += len(task.keys)
    healthy = {line.channel_id for line in cast if line.kind == "healthy"}
    silences: dict[str, float] = {}
    for event in heard:
        channel = event["channel_id"]
        if event["executed_at"] <= killed_at:
            to_come[channel] -= 1
        elif channel in healthy and to_come[channel] > 0:
            silences.setdefault(channel, event["executed_at"] - killed_at)
    return sorted(silences.values())
