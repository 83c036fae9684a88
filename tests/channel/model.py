"""A small world around the channel queue: an API that remembers nonces, and workers that die, stall and repeat."""

from dataclasses import dataclass, field

from tests.channel.desk import Desk
from worker.attempt import Attempt, Fate
from worker.ccc import (
    Answer,
    ApiError,
    Gone,
    NotExecuted,
    Rejected,
    ReplayRefused,
    Unanswered,
    Undetermined,
    parse_answer,
)
from worker.channel.steps import Mark, Send, Step, Verdict, Wait

OK = parse_answer(200, "application/json", b'{"Code": "OK", "RequestId": "req"}')
HOLD_MS = 3_600_000
PAUSE_MS = 600_000

Nonce = tuple[str, int, int]

# What the network and the API may make of a copy: does it arrive, does the answer come back, what does it say.
WAYS = ("ok", "answer lost", "request lost", "not written", "throttled", "internal", "rejected", "gone")


@dataclass
class Api:
    """Executes each nonce once. burns: a refused request uses up its nonce as well."""

    burns: bool
    used: set[Nonce] = field(default_factory=set)
    heard: dict[str, list[tuple[int, int]]] = field(default_factory=dict)

    def press(self, ch: str, number: int, nonce: Nonce, way: str) -> Answer | ApiError:
        """The answer to a copy, as the worker sees it; number: the task's place in the order of its channel."""
        match way:
            case "request lost":
                return Unanswered("lost")
            case "not written":
                return Unanswered("no connection", written=False)
            case "throttled":
                # The gateway throttles before it looks at nonces.
                if self.burns:
                    self.used.add(nonce)
                return NotExecuted("throttled", code="Throttling.User")
        if nonce in self.used:
            return Unanswered("lost") if way == "answer lost" else ReplayRefused("used")
        if way in {"ok", "answer lost"}:
            self.used.add(nonce)
            self.heard.setdefault(ch, []).append((number, nonce[1]))
            return OK if way == "ok" else Unanswered("lost")
        if self.burns:
            self.used.add(nonce)
        errors: dict[str, type[ApiError]] = {"internal": Undetermined, "rejected": Rejected, "gone": Gone}
        return errors[way]("no", code=way)


@dataclass
class Worker:
    """One worker thread: what it believes, which may be long out of date."""

    name: str
    runs: int = 0
    ch: str | None = None
    token: str = ""
    step: Send | None = None
    attempt: Attempt | None = None
    fate: Fate | None = None
    unsure: bool = False

    def begin(self, ch: str) -> None:
        """A new run."""
        self.runs += 1
        self.ch, self.token = ch, f"{self.name}-{self.runs}"

    def learn(self, step: Step) -> None:
        """Take in what the queue answered."""
        self.step = self.attempt = self.fate = None
        self.unsure = False
        if isinstance(step, Send):
            self.step = step
            self.attempt = Attempt(step.mark.attempt, step.doubt, step.throttled, resend=False)
        elif not isinstance(step, Wait):
            self.ch = None

    @property
    def nonce(self) -> Nonce | None:
        return nonce(self.step.mark) if self.step else None


def nonce(mark: Mark) -> Nonce:
    """What stands for the nonce that the vault would derive."""
    return mark.task, mark.digit, mark.nonce


def settle(desk: Desk, worker: Worker) -> Step:
    """What worker.run tells the queue of a settled attempt, with pauses that end only by hand."""
    assert worker.step
    assert worker.fate
    assert worker.ch
    fate = worker.fate
    pause = 0
    if fate.verdict is Verdict.RETRY:
        pause = PAUSE_MS
    elif fate.verdict is Verdict.UNKNOWN and fate.may_arrive:
        pause = HOLD_MS
    code = fate.error.code if fate.error else None
    return desk.settle(
        worker.token,
        worker.step,
        fate.verdict,
        ch=worker.ch,
        pause=pause,
        gone=fate.gone,
        error="TheError",
        code=code,
        nonce_used=fate.nonce_used or None,
    )
