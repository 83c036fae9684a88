"""Scenes: which tasks are enqueued on the channel, and what the API makes of one of their digits."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from tests.enumerate.world import World
from worker.simulator.scene import Drop, Error, Match, Rule, Settings, Throttle
from worker.simulator.scene import Scene as SimulatorScene

KEYS = "123456789"
# A quota that is used up, and never filled again.
THROTTLE = Throttle(rate=1e-9, burst=1)
SHORT_S = 2
MOST_LITTLE = 2
NO_ANSWER = {"executed, no answer", "not executed, no answer"}
# So many requests of one digit come before a deadline that is near; the next task's are to be answered.
LONG_ENOUGH = 4
ALWAYS = {"expired", "silent"}
# What the API answers without executing may burn the nonce or not.
REFUSALS = {"throttled", "internal", "gone", "rejected", "refused", "expired"}


@lru_cache
def _rules(outcome: str, at: int, *, go_on: bool) -> tuple[Rule, ...]:
    always = LONG_ENOUGH if go_on else None
    match = Match(digits=at, times=always if outcome in ALWAYS else 1) if at else Match()
    match outcome:
        case "answered":
            return ()
        case "throttled" | "expired":
            return (Rule(match=match, throttle=THROTTLE),)
        case "executed, no answer":
            return (Rule(match=match, drop=Drop(when="after")),)
        case "not executed, no answer" | "silent":
            return (Rule(match=match, drop=Drop(when="before")),)
        case "internal":
            return (Rule(match=match, error=Error(code="InternalError")),)
        case "internal, executed":
            return (Rule(match=match, error=Error(code="InternalError", executed=True)),)
        case "gone":
            return (Rule(match=Match(digits=at - 1), hang_up="channel"),) if at > 1 else ()
        case "rejected":
            return (Rule(match=match, error=Error(code="InvalidParameter")),)
        case "refused":
            return (Rule(match=match, error=Error(code="Forbidden.RAM")),)
        case _:
            raise ValueError(f"no such outcome: {outcome}")


OUTCOMES = (
    "throttled",
    "executed, no answer",
    "not executed, no answer",
    "internal",
    "internal, executed",
    "gone",
    "expired",
    "silent",
    "rejected",
    "refused",
)


@dataclass(frozen=True)
class Scene:
    """Some tasks, and the outcome of one digit; all others are answered OK.

    Attributes:
        shape: how many digits each task has.
        outcome: of the digit.
        at: which digit of the channel, from 1; 0 for none.
        burns: a refused request uses up its nonce.
        nonce_first: the gateway looks at the nonce before the quota.
        go_on: every task but the first goes on although one ahead failed.
        resend: an internal error is tried again.
        short: all tasks have a deadline that is near.
    """

    shape: tuple[int, ...]
    outcome: str = "answered"
    at: int = 0
    burns: bool = True
    nonce_first: bool = False
    go_on: bool = False
    resend: bool = False
    short: bool = False

    def __str__(self) -> str:
        flags = [name for name in ("burns", "nonce_first", "go_on", "resend", "short") if getattr(self, name)]
        where = f" at digit {self.at}" if self.at else ""
        return f"{'+'.join(map(str, self.shape))} {self.outcome}{where} ({', '.join(flags) or '-'})"

    @property
    def is_little(self) -> bool:
        """Of so few digits that whatever may happen in it is tried."""
        return sum(self.shape) <= MOST_LITTLE

    @property
    def expires_in(self) -> float:
        return SHORT_S if self.short or self.outcome in ALWAYS else 30

    @lru_cache  # noqa: B019 - a scene is a value
    def for_simulator(self) -> SimulatorScene:
        settings = Settings(burn=self.burns, nonce_first=self.nonce_first)
        return SimulatorScene(settings=settings, rules=list(_rules(self.outcome, self.at, go_on=self.go_on)))

    def tasks(self) -> list[tuple[str, dict[str, object]]]:
        """Ids and options; no two digits of a scene are the same key."""
        tasks, done = [], 0
        for number, digits in enumerate(self.shape, start=1):
            options: dict[str, object] = {"dtmf": KEYS[done : done + digits], "expires_in": self.expires_in}
            if self.go_on and number > 1:
                # With time left after what goes wrong, and after the hold.
                options |= {"on_failure": "continue", "expires_in": 30}
            if self.resend:
                options["on_unknown"] = "resend"
            tasks.append((f"t{number}", options))
            done += digits
        return tasks

    def set_up(self, world: World) -> None:
        """The call is up, or gone already; the producer is about to enqueue."""
        if self.outcome == "gone" and self.at == 1:
            world.api.service.calls.end("ccc-test", "job-1", "channel-1", "channel")
        world.produce(self.tasks())


def shapes(most_tasks: int, most_digits: int, most_in_all: int) -> list[tuple[int, ...]]:
    """All ways of so many tasks at the most, of so many digits each and in all."""
    counts = range(1, most_digits + 1)
    every = [shape for tasks in range(1, most_tasks + 1) for shape in product(counts, repeat=tasks)]
    return [shape for shape in every if sum(shape) <= most_in_all]


def scenes(all_shapes: Iterable[tuple[int, ...]], *, go_on: bool = False, short: bool = False) -> list[Scene]:
    """Every outcome at every digit of these shapes, with nonces that are burnt by a refusal and that are not."""
    return [
        Scene(shape, outcome, at, burns, go_on=go_on, short=short)
        for shape in all_shapes
        for outcome, at in [("answered", 0), *product(OUTCOMES, range(1, sum(shape) + 1))]
        for burns in ((True, False) if outcome in REFUSALS else (True,))
    ]
