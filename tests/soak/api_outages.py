"""The API is away for a minute, in four ways at once (503, refused, TLS error, silence), each with its own fleet."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.ccc.certificates import Certificates, make_certificates
from tests.fleet.harness import QUICK, Ground, Line, Scene, until
from tests.soak.result import Result
from tests.unit.proxy import Proxy
from worker.record import Record, State

NAME = "the API away"
SETTINGS: dict[str, object] = {"DTMF_CONCURRENCY": 48, **QUICK}
WORKER, OTHER = "one", "two"
LINES = 24
LONGEST_OUTAGE_S = 60.0
EXPIRES_S = 600.0


@contextmanager
def says_503(_: Proxy, scene: Scene, lines: list[Line], __: Certificates) -> Iterator[None]:
    """ServiceUnavailable, with the API's own words."""
    scene.rule(*lines, error={"code": "ServiceUnavailable", "status": 503})
    try:
        yield
    finally:
        scene.control.set_scene()


@contextmanager
def refuses(proxy: Proxy, *_: object) -> Iterator[None]:
    """Nobody listens."""
    proxy.leave()
    proxy.cut()
    try:
        yield
    finally:
        proxy.come_back()


@contextmanager
def fails_tls(proxy: Proxy, _: Scene, __: list[Line], certificates: Certificates) -> Iterator[None]:
    """A certificate that nobody vouches for."""
    proxy.tls = certificates.self_signed
    proxy.cut()
    try:
        yield
    finally:
        proxy.tls = certificates.trusted
        proxy.cut()


@contextmanager
def is_silent(proxy: Proxy, *_: object) -> Iterator[None]:
    """Connections are taken, and nothing comes back."""
    proxy.silent = True
    try:
        yield
    finally:
        proxy.silent = False
        proxy.cut()


OUTAGES: dict[str, Callable[..., Any]] = {
    "503": says_503,
    "refused": refuses,
    "TLS error": fails_tls,
    "silence": is_silent,
}


def play(ground: Ground, seconds: float) -> Result:
    """An outage of so many seconds, a minute at the most, on four grounds beside the given one."""
    outage = min(LONGEST_OUTAGE_S, max(3.0, seconds * 0.75))
    certificates = make_certificates(ground.folder)

    def one(kind: str) -> Result:
        folder: Path = ground.folder / kind.replace(" ", "-")
        folder.mkdir()
        with (
            Proxy(ground.simulator.port, tls=certificates.trusted) as proxy,
            Ground(folder, ground.simulator, **SETTINGS) as other,
        ):
            return _Outage(kind, outage, other, proxy, certificates).play()

    total = Result()
    total.see("outage", outage, "s")
    with ThreadPoolExecutor() as threads:
        for kind, result in zip(OUTAGES, threads.map(one, OUTAGES), strict=True):
            total.figures += result.figures
            total.broken += [f"{kind}: {line}" for line in result.broken]
    return total


class _Outage:
    """One of them: tasks that can wait it out, and tasks that cannot."""

    def __init__(self, kind: str, seconds: float, ground: Ground, proxy: Proxy, certificates: Certificates) -> None:
        self._kind = kind
        self._seconds = seconds
        self._ground = ground
        self._proxy = proxy
        self._certificates = certificates
        self._scene = Scene(ground)
        self._patient = [Line.new() for _ in range(LINES)]
        self._hasty = [Line.new() for _ in range(LINES // 2)]
        self._result = Result()

    def play(self) -> Result:
        endpoint = {"CCC_ENDPOINT": f"https://127.0.0.1:{self._proxy.port}", "CCC_CA_BUNDLE": self._certificates.bundle}
        # In a short outage the machine is busy enough with one.
        others = [OTHER] if self._seconds > 10 else []
        self._ground.start(WORKER, *others, **endpoint)
        for line in self._patient + self._hasty:
            self._scene.send(line, "12", expires_in=EXPIRES_S)
        until(lambda: len(self._scene.heard()) == 2 * len(self._patient + self._hasty), "digits heard")
        with OUTAGES[self._kind](self._proxy, self._scene, self._patient + self._hasty, self._certificates):
            began = time.time()
            hasty = self._enqueue(began)
            self._restart(endpoint)
            time.sleep(max(0.0, began + self._seconds - time.time()))
            expired = self._see_expired(hasty)
        self._see_drained(time.time())
        self._judge(expired)
        return self._result

    def _enqueue(self, began: float) -> list[str]:
        """A backlog of tasks that can wait, and one task on each hasty line that cannot; the ids of these."""
        hasty = [self._scene.send(line, "34", expires_in=self._seconds * 0.4).id for line in self._hasty]
        for _ in range(3):
            for line in self._patient:
                self._scene.send(line, "3456#", expires_in=EXPIRES_S)
        while time.time() < began + self._seconds * 0.2:
            time.sleep(0.05)
        return hasty

    def _restart(self, endpoint: dict[str, str]) -> None:
        told = time.monotonic()
        status = self._ground.worker(WORKER).stop(timeout=60)
        self._see("from SIGTERM to the end", time.monotonic() - told, "s", at_most=15)
        self._result.must(status == 0, f"a worker ended with status {status}")
        self._ground.start(WORKER, **endpoint)

    def _see_expired(self, hasty: list[str]) -> dict[str, Record]:
        """What became of the tasks whose deadline fell into the outage, and how long after it they were on record."""
        found = until(lambda: _all_of(self._scene.records(), hasty), f"what expired is on record ({self._kind})", 120)
        late = max(record.ended_at - record.deadline for record in found.values()) / 1000
        self._see("record of an expired task, after its deadline", late, "s", at_most=3)
        return found

    def _see_drained(self, ended: float) -> None:
        self._scene.settle(120)
        last = max(event["executed_at"] for event in self._scene.heard())
        self._see("from the outage's end to the last digit of the backlog", last - ended, "s", at_most=30)

    def _judge(self, expired: dict[str, Record]) -> None:
        # A request that was written and not answered may have been executed: then nobody may say that it was not.
        truth = {State.UNKNOWN} if self._kind == "silence" else {State.EXPIRED}
        states = {record.state for record in expired.values()}
        self._result.must(states == truth, f"tasks that ran out of time ended as {sorted(states)}")
        heard, enqueued = self._scene.transcript(), self._scene.enqueued()
        late = [line for line in self._patient if heard[line.channel_id] != enqueued[line.channel_id]]
        self._result.must(not late, f"{len(late)} channels did not hear just what was enqueued")
        self._result.broken += self._scene.verdict().broken
        self._result.broken += self._ground.faults()

    def _see(self, what: str, value: float, unit: str = "", **limit: float) -> None:
        self._result.see(f"{self._kind}: {what}", value, unit, **limit)


def _all_of(records: dict[str, Record], ids: list[str]) -> dict[str, Record]:
    """The records of these tasks, if all are there."""
    found = {task_id: records[task_id] for task_id in ids if task_id in records}
    return found if len(found) == len(ids) else {}
