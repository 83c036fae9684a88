"""A steady load: a producer that keeps a few tasks waiting on each of its channels, and never lets one drop."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Self

from redis.exceptions import RedisError

from tests.fleet.harness import Ground, Line, Scene, dice, until
from worker.demo.verdict import Verdict
from worker.errors import NotAccepted, QueueUnavailable

KEYS = "0123456789*#"
EXPIRES_S = 600.0
_IDLE_S = 0.02
# So often a task is enqueued although enough of them wait.
_ANYWAY = 0.1


@dataclass(frozen=True, slots=True)
class Sent:
    """A task that was accepted, and when (s since 1970) its producer knew."""

    line: Line
    keys: str
    accepted_at: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which a channel had a digit to come and heard none; s since 1970."""

    channel_id: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.ended - self.began


@dataclass(eq=False)
class Load:
    """Keeps `depth` tasks of `digits` keys waiting on each line while the context lasts.

    Attributes:
        scene: of the tasks.
        lines: the channels.
        unclear: calls that ended in QueueUnavailable; each was made again under the same id until it was clear.
        refused: calls that ended in a NotAccepted, by class.
        slowest: the longest call of the producer, in seconds.
    """

    ground: Ground
    lines: Sequence[Line] = field(default_factory=lambda: [Line.new() for _ in range(40)])
    depth: int = 3
    digits: int = 4
    expires_in: float = EXPIRES_S
    unclear: int = 0
    refused: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    slowest: float = 0.0

    def __post_init__(self) -> None:
        self.scene = Scene(self.ground)
        self.sent: list[Sent] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._produce, name="load", daemon=True)
        self._numbers = count()
        self._dice = dice(1)
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Enqueue nothing more; raises what ended the producer, if something did."""
        self._stop.set()
        self._thread.join()
        if self._error:
            raise self._error

    def _produce(self) -> None:
        try:
            while not self._stop.is_set():
                wanted = self._wanted()
                for line in wanted:
                    self._enqueue(line)
                if not wanted:
                    self._stop.wait(_IDLE_S)
        except Exception as error:  # noqa: BLE001 - end() raises it
            self._error = error

    def _wanted(self) -> list[Line]:
        """The lines on which fewer tasks wait than should."""
        try:
            with self.ground.client.pipeline(transaction=False) as pipe:
                for line in self.lines:
                    pipe.llen(f"dtmf:q:{line.digest}")
                wanted = [line for line, n in zip(self.lines, pipe.execute(), strict=True) if n < self.depth]
        except RedisError:
            # A producer does not know of the outage before it calls.
            return list(self.lines)
        # Nor of a fleet that stands still.
        return wanted or ([self._dice.choice(self.lines)] if self._dice.random() < _ANYWAY else [])

    def _enqueue(self, line: Line) -> None:
        """Enqueue a task, and after an unclear answer again, under the same id, until it is clear."""
        keys = "".join(self._dice.choices(KEYS, k=self.digits))
        task_id = f"{line.job_id}-{next(self._numbers)}"
        began_at = time.time()
        while True:
            began = time.monotonic()
            try:
                self.ground.send_dtmf.apply_async(
                    kwargs={
                        "channel_id": line.channel_id,
                        "job_id": line.job_id,
                        "dtmf": keys,
                        "expires_in": self.expires_in,
                    },
                    task_id=task_id,
                )
            except QueueUnavailable:
                self.unclear += 1
                if self._stop.is_set():
                    raise
            except NotAccepted as error:
                self.refused[type(error).__name__] += 1
                self._stop.wait(_IDLE_S)
                return
            else:
                self.sent.append(Sent(line, keys, time.time()))
                self.scene.tasks.append((task_id, line, keys, began_at))
                return
            finally:
                self.slowest = max(self.slowest, time.monotonic() - began)

    def heard(self) -> int:
        """How many digits were heard since the load began."""
        heard: int = self.scene.control.stats()["heard"] - self.scene.since_heard
        return heard

    def verdict(self) -> Verdict:
        """What the simulator's log says, once every task has its record; every digit must be heard."""
        return self.scene.verdict(complete=True, timeout=120)

    def gaps(self) -> list[Gap]:
        """The time before each digit that was heard: since the one before it, or since its task was accepted.

        Only of a load whose every digit was heard once and in order; the nth heard is then the nth enqueued.
        """
        accepted: dict[str, list[float]] = defaultdict(list)
        for sent in self.sent:
            accepted[sent.line.channel_id] += [sent.accepted_at] * len(sent.keys)
        found, last = [], dict.fromkeys(accepted, 0.0)
        places = dict.fromkeys(accepted, 0)
        for event in self.scene.heard():
            channel, at = event["channel_id"], float(event["executed_at"])
            place = places[channel]
            if place < len(accepted[channel]):
                began = max(last[channel], accepted[channel][place])
                found.append(Gap(channel, min(began, at), at))
            places[channel], last[channel] = place + 1, at
        return found


def gaps_across(gaps: Sequence[Gap], channels: set[str], moment: float, until: float | None = None) -> list[float]:
    """For each of these channels, the longest gap that the moment (or the time from it) fell into."""
    longest: dict[str, float] = {}
    for gap in gaps:
        if gap.channel_id in channels and gap.ended > moment and gap.began <= (until or moment):
            longest[gap.channel_id] = max(longest.get(gap.channel_id, 0.0), gap.seconds)
    return list(longest.values())


def served_by(ground: Ground, lines: Sequence[Line], worker: str) -> set[str]:
    """The channels that a worker holds at the moment."""
    with ground.client.pipeline(transaction=False) as pipe:
        for line in lines:
            pipe.hget(f"dtmf:ch:{line.digest}", "worker")
        answers = pipe.execute()
    return {line.channel_id for line, name in zip(lines, answers, strict=True) if name == f"{worker}@localhost"}


def wait_for_work(ground: Ground, lines: Sequence[Line], worker: str) -> None:
    """Wait until a worker, which may have only just come back, holds a channel."""
    until(lambda: served_by(ground, lines, worker), f"worker {worker} at work")


def wait_for_loss(ground: Ground, lines: Sequence[Line], worker: str) -> None:
    """Wait until a worker holds none."""
    until(lambda: not served_by(ground, lines, worker), f"the channels of worker {worker} taken over")
