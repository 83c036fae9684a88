"""A run on a stage: the real queue on a real server, a heartbeat, and an API that answers as scripted."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.channel.desk import Desk
from worker.ccc import (
    Answer,
    ApiError,
    Credentials,
    CredentialsState,
    KeyPress,
    NoCredentials,
    StaticCredentials,
    parse_answer,
)
from worker.channel.queue import ChannelQueue, Limits, NewTask
from worker.clock import clock
from worker.fleet.heartbeat import Heartbeat
from worker.run import Defaults, Pace, Parts, serve
from worker.task import check_task
from worker.vault import Vault, channel_digest

CHANNEL_ID = "ch:customer:01089898989->13188888888:1609234221870:job-65735740600893440"
CH = channel_digest(CHANNEL_ID)
KEY = bytes(range(32))
OTHER_KEY = bytes(range(32, 64))
CREDENTIALS = Credentials("LTAI-test", "secret")
OK = parse_answer(
    200, "application/json", b'{"Code": "OK", "RequestId": "req-1", "Data": {"CallContext": {"JobId": "job-1"}}}'
)

Reply = Answer | ApiError
Cue = Reply | Callable[[], Reply]


@dataclass(frozen=True)
class Heard:
    """One request as the API saw it."""

    key: str
    nonce: str
    signed_at: int
    press: KeyPress
    credentials: Credentials
    not_after: float
    at: float


class FakeApi:
    """Stands in for CccClient. Answers what the cues say, one each, and then OK to everything."""

    def __init__(self) -> None:
        self.cues: list[Cue] = []
        self.heard: list[Heard] = []

    def send_dtmf(
        self, press: KeyPress, credentials: Credentials, *, nonce: str, signed_at: int, not_after: float
    ) -> Answer:
        self.heard.append(Heard(press.dtmf, nonce, signed_at, press, credentials, not_after, clock()))
        cue: Cue = self.cues.pop(0) if self.cues else OK
        reply = cue() if callable(cue) else cue
        if isinstance(reply, ApiError):
            raise reply
        return reply

    @property
    def keys(self) -> str:
        return "".join(heard.key for heard in self.heard)

    @property
    def nonces(self) -> list[str]:
        return [heard.nonce for heard in self.heard]


class CountingVault(Vault):
    """Counts what is decrypted."""

    opened = 0

    def decrypt(self, token: str, owner: str) -> str:
        self.opened += 1
        return super().decrypt(token, owner)


class LossyQueue(ChannelQueue):
    """Loses calls or their answers, as a broken connection does: faults holds (script, before | after).

    slow holds how many seconds the answers of a script take to come back.
    """

    def __init__(self, client: Redis, limits: Limits, **names: Any) -> None:
        super().__init__(client, limits, **names)
        self.faults: list[tuple[str, str]] = []
        self.calls: list[str] = []
        self.slow: dict[str, float] = {}

    def _call(self, name: str, *args: Any) -> list[Any]:
        self.calls.append(name)
        fault = self.faults[0] if self.faults and self.faults[0][0] == name else None
        if fault:
            self.faults.pop(0)
        if fault and fault[1] == "before":
            raise RedisConnectionError("lost on the way to the server")
        answer = super()._call(name, *args)
        time.sleep(self.slow.get(name, 0))
        if fault:
            raise RedisConnectionError("lost on the way back")
        return answer


class NoCredentialsYet:
    """A provider whose source does not answer."""

    def get(self) -> Credentials:
        raise NoCredentials("the source does not answer")

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def refresh(self) -> None: ...

    def describe(self) -> CredentialsState:
        return CredentialsState("nowhere", None, None, "it does not answer")


class Stage:
    """Everything that a run needs; serve() is one run, to its end, in the thread that calls it."""

    def __init__(self, client: Redis, *, limits: dict[str, Any], pace: dict[str, Any]) -> None:
        # Leases that no busy machine outlasts by chance, waits that are short for the tests' sake.
        self.desk = Desk(client, **{"lease": 20_000, **limits})
        self.queue = LossyQueue(client, self.desk.limits, worker="worker-1")
        self.api = FakeApi()
        self.vault = CountingVault([KEY])
        self.credentials: Credentials | None = CREDENTIALS
        self.published: list[str] = []
        self.stopping = threading.Event()
        self.heartbeat = Heartbeat(ChannelQueue(client, self.desk.limits), 0.02)
        self.pace = Pace(**{"slice": 60.0, "hold": 300.0, "outage": 5.0, "farewell": 3.0, **pace})

    def parts(self) -> Parts:
        return Parts(
            queue=self.queue,
            client=cast(Any, self.api),
            credentials=StaticCredentials(self.credentials) if self.credentials else NoCredentialsYet(),
            vault=self.vault,
            defaults=Defaults("ccc-default", "user-default", "device-default"),
            pace=self.pace,
            heartbeat=self.heartbeat,
            publish=self.published.append,
            stopping=self.stopping,
        )

    def enqueue(self, task_id: str, dtmf: str = "1", **options: Any) -> None:
        options = {"channel_id": CHANNEL_ID, "job_id": "job-1", "gap_ms": 0, "expires_in": 60, **options}
        task = check_task(dtmf=dtmf, default_expires_ms=30_000, default_gap_ms=0, **options)
        payload = self.vault.encrypt(task.to_payload(), task_id)
        go_on = task.on_failure == "continue"
        keys, lead = len(task.dial.keys), task.dial.lead_ms
        new = NewTask(task_id, CH, keys, lead, task.expires_in_ms, task.deadline_ms, go_on, payload)
        assert self.desk.queue.enqueue(new)[0] in {"PUBLISH", "QUEUED"}

    def serve(self) -> None:
        serve(self.parts(), CH)

    @contextmanager
    def serving(self) -> Iterator[threading.Thread]:
        """A run in a thread of its own, which has ended when the context has."""
        thread = threading.Thread(target=self.serve)
        thread.start()
        try:
            yield thread
        finally:
            thread.join(60)
            assert not thread.is_alive()

    # Words for what the tests look at

    def settled(self) -> list[tuple[str, str]]:
        return self.desk.settled()

    def outcomes(self, task: str) -> list[str]:
        return self.desk.outcomes(task)

    def is_free(self) -> bool:
        return "token" not in self.desk.channel(CH)

    def replace_run(self) -> None:
        """Another worker takes the channel, as if this one had been silent for longer than its lease."""
        self.desk.lease_over(CH)
        self.desk.claim("another", ch=CH)

    def passed(self, not_after: float) -> bool:
        """Whether a moment on the worker's clock has come."""
        while clock() < not_after:
            time.sleep(0.005)
        return True
