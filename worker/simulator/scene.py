"""Scenes: which requests meet which fault.

A scene is a list of rules; a rule is a match and what happens to the requests that it matches. Every rule
that matches a request applies; where two say something of the same kind, the first one counts (of
quotas, all do). Times are seconds. ``docs/simulator.md`` has an example of each.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from worker.simulator.calls import Gone
from worker.simulator.shapes import ODD

Seconds = Annotated[float, Field(ge=0, le=86_400)]
Ids = str | list[str]
Nth = Annotated[int, Field(ge=1)]


class Model(BaseModel):
    """What a person writes: a name that is not known is an error, so that no typo goes unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Throttle(Model):
    """A quota: a bucket of ``burst`` requests (default: a second's worth), refilled at ``rate`` a second."""

    rate: Annotated[float, Field(gt=0)]
    burst: Nth | None = None
    code: str = "Throttling.User"
    retry_after_ms: Annotated[int, Field(ge=0)] | None = None


class Error(Model):
    """An answer with this code, by default not executed. ``status`` 200 gives the API's own shape."""

    code: str
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    message: str | None = None
    executed: bool = False
    retry_after_ms: Annotated[int, Field(ge=0)] | None = None


class Drop(Model):
    """The connection ends without an answer, before the gateway has seen the request or after all is done."""

    when: Literal["before", "after"]
    how: Literal["close", "reset"] = "close"


class Page(Model):
    """A proxy's HTML page instead of the answer; unless ``executed``, the gateway never sees the request."""

    status: Annotated[int, Field(ge=200, le=599)] = 502
    executed: bool = False


class Redirect(Model):
    """A redirect, given before the gateway sees the request."""

    location: str
    status: Literal[301, 302, 303, 307, 308] = 302


class Trickle(Model):
    """The answer's body in pieces of ``size`` bytes, one ``every`` so many seconds."""

    every: Seconds = 0.1
    size: Nth = 1


class Match(Model):
    """Which requests a rule is for; what is left out does not matter.

    ``channel``, ``job``, ``instance``: one id or a list. ``requests``: the nth request of its channel since
    the scene was set, or [first, last], last null for no end; resends count. ``digits``: likewise, the nth
    digit that the channel would hear. Of the requests that fit so far, every ``every``-th; of these, each
    with ``probability``; of these, the first ``times``.
    """

    channel: Ids | None = None
    job: Ids | None = None
    instance: Ids | None = None
    requests: Nth | tuple[Nth, Nth | None] | None = None
    digits: Nth | tuple[Nth, Nth | None] | None = None
    every: Nth = 1
    probability: Annotated[float, Field(ge=0, le=1)] = 1.0
    times: Nth | None = None


class Rule(Model):
    """A match and its faults.

    ``lag``: the request lingers in the network before the gateway sees it (a late copy). ``latency``: between
    the gateway's checks and executing. ``answer_after``: between executing and the answer. ``truncate``: the
    connection ends after so many bytes of the answer's body. ``hang_up``: once this digit is heard, the
    channel, job or instance is gone.
    """

    name: str | None = None
    match: Match = Match()
    lag: Seconds | tuple[Seconds, Seconds] | None = None
    latency: Seconds | tuple[Seconds, Seconds] | None = None
    answer_after: Seconds | tuple[Seconds, Seconds] | None = None
    throttle: Throttle | None = None
    error: Error | None = None
    drop: Drop | None = None
    page: Page | None = None
    redirect: Redirect | None = None
    truncate: Annotated[int, Field(ge=0)] | None = None
    trickle: Trickle | None = None
    shapes: list[str] | None = None
    hang_up: Gone | None = None

    @model_validator(mode="after")
    def _does_something_known(self) -> Self:
        if not self.model_fields_set - {"name", "match"}:
            raise ValueError("the rule has a match but no fault")
        for shape in self.shapes or []:
            if shape not in ODD:
                raise ValueError(f"shapes: {shape!r} is none of {', '.join(ODD)}")
        return self


class Settings(Model):
    """How the gateway behaves, apart from faults.

    ``burn``: a refused request that was rightly signed burns its nonce. ``nonce_first``: the nonce is checked
    before the quotas, not after. ``timestamp_window``: how far, in seconds, a signing time may be off;
    ``nonce_memory``: for how long a nonce is remembered; ``clock_offset``: by how much the gateway's clock is
    ahead of this machine's. ``strict``: calls must be registered. ``quota``: for all requests together.
    """

    burn: bool = True
    nonce_first: bool = False
    timestamp_window: Annotated[float, Field(ge=0)] = 900.0
    nonce_memory: Annotated[float, Field(ge=0)] = 1860.0
    clock_offset: float = 0.0
    strict: bool = False
    quota: Throttle | None = None

    def changed(self, by: "Settings") -> "Settings":
        """These settings with those that ``by`` states explicitly."""
        return self.model_copy(update={name: getattr(by, name) for name in by.model_fields_set})


class Scene(Model):
    """A file or a request that sets the scene; the same ``seed`` draws the same chances."""

    seed: int = 0
    settings: Settings = Settings()
    rules: list[Rule] = []


class Bucket:
    """The state of a quota: a token bucket that starts full."""

    def __init__(self, throttle: Throttle, clock: Callable[[], float]) -> None:
        self.throttle = throttle
        self._clock = clock
        self._size = float(throttle.burst or max(1, round(throttle.rate)))
        self._tokens = self._size
        self._at = clock()

    def take(self) -> bool:
        """Take one token, or say that there is none."""
        now = self._clock()
        self._tokens = min(self._size, self._tokens + (now - self._at) * self.throttle.rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


@dataclass(slots=True)
class Plan:
    """What the rules have in store for one request."""

    rules: list[str] = field(default_factory=list)
    lag: float = 0.0
    latency: float = 0.0
    answer_after: float = 0.0
    buckets: list[Bucket] = field(default_factory=list)
    error: Error | None = None
    drop: Drop | None = None
    page: Page | None = None
    redirect: Redirect | None = None
    truncate: int | None = None
    trickle: Trickle | None = None
    shapes: frozenset[str] = frozenset()
    hang_up: Gone | None = None


NOTHING = Plan()
_SPANS = ("lag", "latency", "answer_after")
_FAULTS = ("error", "drop", "page", "redirect", "truncate", "trickle", "hang_up")
Key = tuple[str, str, str]


class Stage:
    """The rules that are in force, with their counts.

    ``digits_heard`` tells how many digits a call (instance, job, channel) has heard.
    """

    def __init__(self, scene: Scene, digits_heard: Callable[[Key], int], clock: Callable[[], float]) -> None:
        self._digits_heard = digits_heard
        self._clock = clock
        self._seed = scene.seed
        self._requests: dict[Key, int] = {}
        self.rules: list[RuleState] = []
        self.add(scene.rules)

    def add(self, rules: list[Rule]) -> None:
        """Append rules; the ones in force keep their counts."""
        for rule in rules:
            self.rules.append(RuleState(rule, len(self.rules), self._seed, self._clock))

    def plan(self, key: Key) -> Plan:
        """Count a request of the call ``key`` and say what is to happen to it."""
        if not self.rules:
            return NOTHING
        nth = self._requests[key] = self._requests.get(key, 0) + 1
        digit = self._digits_heard(key) + 1
        plan: Plan | None = None
        for state in self.rules:
            if state.matches(key, nth, digit):
                plan = plan or Plan()
                state.join(plan)
        return plan or NOTHING


class RuleState:
    """A rule in force: how often it was looked at and applied, its dice, its bucket."""

    def __init__(self, rule: Rule, index: int, seed: int, clock: Callable[[], float]) -> None:
        self.rule = rule
        self.name = rule.name or f"rule-{index + 1}"
        self.fitted = 0
        self.applied = 0
        self._dice = Random(f"{seed}:{index}")  # noqa: S311 - chances of a test, which must repeat
        self._bucket = None if rule.throttle is None else Bucket(rule.throttle, clock)
        match = rule.match
        self._ids = [_ids(match.instance), _ids(match.job), _ids(match.channel)]
        self._requests = _range(match.requests)
        self._digits = _range(match.digits)

    def matches(self, key: Key, nth: int, digit: int) -> bool:
        """Whether the rule applies to this request; counts it."""
        match = self.rule.match
        for wanted, given in zip(self._ids, key, strict=True):
            if wanted is not None and given not in wanted:
                return False
        if not (_within(self._requests, nth) and _within(self._digits, digit)):
            return False
        self.fitted += 1
        if self.fitted % match.every or (match.times is not None and self.applied >= match.times):
            return False
        if match.probability < 1 and self._dice.random() >= match.probability:
            return False
        self.applied += 1
        return True

    def join(self, plan: Plan) -> None:
        """Add this rule's faults to what other rules have planned."""
        plan.rules.append(self.name)
        for name in _SPANS:
            span = getattr(self.rule, name)
            if span is not None and not getattr(plan, name):
                setattr(plan, name, self._dice.uniform(*span) if isinstance(span, tuple) else span)
        for name in _FAULTS:
            fault = getattr(self.rule, name)
            if fault is not None and getattr(plan, name) is None:
                setattr(plan, name, fault)
        if self._bucket is not None:
            plan.buckets.append(self._bucket)
        if self.rule.shapes and not plan.shapes:
            plan.shapes = frozenset(self.rule.shapes)


def _ids(wanted: Ids | None) -> frozenset[str] | None:
    if wanted is None:
        return None
    return frozenset([wanted] if isinstance(wanted, str) else wanted)


def _range(wanted: int | tuple[int, int | None] | None) -> tuple[int, float]:
    if wanted is None:
        return 1, float("inf")
    if isinstance(wanted, int):
        return wanted, wanted
    first, last = wanted
    return first, float("inf") if last is None else last


def _within(wanted: tuple[int, float], number: int) -> bool:
    return wanted[0] <= number <= wanted[1]
