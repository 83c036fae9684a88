"""When two worlds are alike: what happens next in them is the same, and so is the judgement of it.

What comes after a stop rests on what Redis holds, on what the API has heard and will answer, and on who is still there.
Where all that is like what another stop left behind, the same would be seen again: such a case is counted, not played.
What is over is left out (tasks that ended well, digits that were sent), tasks and digits are known by their places from
the head of the queue, and moments by how far away they are. test_likeness.py plays cases that are taken for alike.
"""

import dataclasses
import hashlib
import json
import re
from enum import Enum
from types import FrameType
from typing import Any

from tests.enumerate.actors import LIMITS, Actor
from tests.enumerate.api import INSTANCE, Copy
from tests.enumerate.judge import DISTURBANCES
from tests.enumerate.watch import HOLD_MS, USED, Press
from tests.enumerate.world import World
from worker.channel.steps import Mark
from worker.lease import Run
from worker.record import Outcome, State
from worker.simulator.calls import Calls
from worker.simulator.errors import Refusal

# A deadline so far away that nothing in a case comes to it.
FAR_MS = 15_000
# What is for people, or follows from the places in the queue.
LEFT_OUT = {"epoch", "worker", "since", "enqueued_at", "started_at", "answer", "tried", "kid", "ak", "ch", "n", "at"}
LEFT_OUT |= {"signed_at", "marked_at", "task", "digit"}
AHEAD = {"lease_until", "not_before", "hold_until", "lead_until", "start_at"}
HARMLESS = {State.SENT, State.PRESUMED}
# What a run holds in its hands; all else follows from it.
HANDS = {
    "step",
    "attempt",
    "deadline",
    "write_by",
    "fate",
    "result",
    "pause_s",
    "patience",
    "began",
    "orphans",
    "most",
    "answer",
}
RUN = ("_asked", "_pause_after_ms", "_repeated")
LEASE = ("busy_until", "lost", "vouched", "started")
DEADLINES = {"deadline", "write_by", "not_after"}
_DIGIT = re.compile(r"d\d+")
Place = tuple[str, int]
# Place, nonce, what is known of it, copies.
Attempted = tuple[str, int, object, list[tuple[object, ...]]]


def likeness(world: World, actor: Actor, *, dies: bool) -> bytes:
    """A digest of all that decides what happens from here and how it is judged; something happens to this actor."""
    look = Look(world, actor if dies else None)
    return hashlib.blake2b(repr((look.everything(), look.roles.get(actor.name))).encode(), digest_size=16).digest()


class Look:
    """One look at a world, at a moment at which something goes wrong."""

    def __init__(self, world: World, but: Actor | None = None) -> None:
        assert not world.asked, "what producers asked is not looked at"
        self.world = world
        self.now = world.now_ms
        dump = world.dump()
        self.boot: str = dump["boot"]
        self.keys: dict[str, Any] = dump["keys"]
        self.records = {record.id: record for record in dump["records"]}
        queues = [list(tasks) for key, tasks in sorted(self.keys.items()) if key.startswith("dtmf:q:")]
        self.waiting = [task for queue in queues for task in queue]
        self.tasks = {task: _pairs(self.keys[f"dtmf:t:{task}"]) for task in self.waiting}
        self.actors = [actor for actor in world.actors if not (actor.over or actor is but)]
        self.roles = {actor.name: f"actor {number}" for number, actor in enumerate(self.actors)}
        self.silenced = world.disturbed(DISTURBANCES) | ({but.name} if but else set())
        self.tokens = {token: self.roles[actor.name] for actor in self.actors for token in _tokens(actor)}
        self.places: dict[Place, str] = {}

    def everything(self) -> object:
        """All that counts, as plain values."""
        # First, for it sets the places of what is over.
        actors = [self.actor(actor) for actor in self.actors]
        attempts = self.attempts()
        rules = self.rules()
        self.refusals_matter = bool(rules) or self.is_gone() or self.is_refused(attempts)
        return (
            actors,
            [self.task(task) for task in self.waiting],
            [self.key(key) for key in sorted(self.keys)],
            self.ended(),
            attempts,
            self.api(rules),
            (len(self.world.messages), len(self.world.afterwards), self.world.restarted),
            self.world.next_beat - self.now if any(len(actor.heartbeat) for actor in self.actors) else None,
        )

    # Names and moments

    def place(self, task: str, digit: int) -> str:
        """A digit, by its place from the head of the queue; one that is over has no place."""
        if task in self.tasks and digit >= int(self.tasks[task]["at"]):
            return f"{self.waiting.index(task)}.{digit - int(self.tasks[task]['at'])}"
        return self.places.setdefault((task, digit), f"over {len(self.places)}")

    def ahead(self, ms: float) -> float:
        """How far away a moment is; 0 if it is over."""
        return max(0.0, ms - self.now)

    def deadline(self, ms: float) -> object:
        return "far" if ms - self.now > FAR_MS else ms - self.now

    # What Redis holds

    def task(self, task: str) -> object:
        """What is left of a waiting task."""
        held, given = self.tasks[task], self.world.given[task]
        rest = {name: value for name, value in held.items() if not (name in LEFT_OUT or _DIGIT.fullmatch(name))}
        left = len(given.keys) + 1 - int(held["at"])
        return left, given.go_on, given.resend, "started_at" in held, self.hash(rest)

    def key(self, key: str) -> object:
        """What a key holds that is not a queue or a task."""
        kind = key.removeprefix("dtmf:").partition(":")[0]
        contents = self.keys[key]
        match kind:
            case "q" | "t":
                return None
            case "due":
                return [self.ahead(float(due)) for due in contents[1::2]]
            case "ch":
                hash_ = _pairs(contents)
                mark = self.place(hash_["task"], int(hash_["digit"])) if "task" in hash_ else None
                return mark, self.hash({name: value for name, value in hash_.items() if name not in LEFT_OUT})
            case "burns":
                return key, sorted(contents) if self.refusals_matter else None
            case "refusal":
                hash_ = {name: value for name, value in _pairs(contents).items() if not name.startswith("alarmed")}
                return key, self.hash(hash_) if "since" in hash_ else None
            case _:
                return key, self.hash(_pairs(contents))

    def hash(self, hash_: dict[str, str]) -> list[tuple[str, object]]:
        """A hash's fields, with moments as what is left until them."""
        return [(name, self.field(name, value)) for name, value in sorted(hash_.items())]

    def field(self, name: str, value: str) -> object:
        match name:
            case "token":
                return self.tokens.get(value, "nobody")
            case "boot":
                return value == self.boot
            case "deadline":
                return self.deadline(float(value))
            case "broken":
                return value in self.tasks
            case _ if name in AHEAD:
                return self.ahead(float(value))
            case _:
                return _moment(value, self.now)

    def ended(self) -> object:
        """The tasks that ended in a way that matters to those behind them, and when."""
        harmful = [record for record in self.records.values() if record.state not in HARMLESS]
        enqueued = [int(self.tasks[task]["enqueued_at"]) for task in self.waiting]
        return [
            (
                record.state,
                record.error == "Gone",
                any(digit.outcome is not Outcome.NOT_SENT for digit in record.digits),
                [(at >= record.ended_at, at >= record.ended_at + LIMITS.break_) for at in enqueued],
            )
            for record in harmful
        ]

    # What the API heard, and will answer

    def attempts(self) -> list[Attempted]:
        """The attempts whose end is open, and those at digits to come: their copies, and who knows what of them."""
        watch = self.world.watch
        copies: dict[Press, list[Copy]] = {}
        for copy in self.world.api.copies:
            copies.setdefault(copy.press, []).append(copy)
        found: list[Attempted] = []
        for press in sorted(watch.marked, key=lambda press: (watch.accepted.index(press.task), press[1:])):
            hold = self.ahead(watch.given_up.get(press, 0) + HOLD_MS)
            is_open = hold > 0 and not watch.closed(press)
            if is_open or self.is_to_come(press) or press[:2] in self.places:
                place, written = self.place(*press[:2]), copies.get(press, [])
                unread = any(copy.by in self.roles and not copy.read for copy in written)
                if not (is_open or unread) and self.is_sent(press) and self.is_used(written):
                    # Whatever else is written under this nonce, it is refused, and the record is true.
                    found.append((place, press.nonce, "used", []))
                    continue
                facts = (press in watch.found, press in watch.given_up, hold if is_open else None, self.outcome(press))
                found.append((place, press.nonce, facts, [self.copy(copy) for copy in written]))
        return found

    def is_used(self, copies: list[Copy]) -> bool:
        """The API has used up the nonce of these."""
        burns = self.world.api.service.settings.burn
        return any(copy.heard or copy.code in {"OK", USED} or (copy.code and burns) for copy in copies)

    def is_refused(self, attempts: list[Attempted]) -> bool:
        """The API refused some of these, or a digit to come, and it may matter which nonces that has used up."""
        codes = {copy[0] for *_, copies in attempts for copy in copies}
        return bool(codes - {"", "OK", USED}) or any("refused" in task for task in self.tasks.values())

    def is_to_come(self, press: Press) -> bool:
        return press.task in self.tasks and press.digit >= int(self.tasks[press.task]["at"])

    def is_sent(self, press: Press) -> bool:
        outcome = self.outcome(press)
        return outcome is not None and outcome[1] == Outcome.SENT

    def copy(self, copy: Copy) -> tuple[object, ...]:
        late = copy.written_at >= copy.not_after
        return (
            copy.code,
            bool(copy.heard),
            copy.dropped,
            copy.read,
            copy.by in self.silenced,
            self.roles.get(copy.by),
            late,
        )

    def outcome(self, press: Press) -> tuple[object, ...] | None:
        """What is noted of a digit that is over, and until when nothing may follow it."""
        if self.is_to_come(press):
            return None
        record = self.records.get(press.task)
        if record:
            digit = record.digits[press.digit - 1]
            outcome, ended_at = digit.outcome, digit.ended_at or 0
        else:
            noted = json.loads(self.tasks[press.task][f"d{press.digit}"])
            outcome, ended_at = noted["outcome"], noted["ended_at"]
        order = self.world.watch.accepted.index
        heard = [copy.press for copy in self.world.api.copies if copy.heard]
        later = any((order(other.task), other.digit) > (order(press.task), press.digit) for other in heard)
        return record and record.state, outcome, self.ahead(ended_at + HOLD_MS), later

    def rules(self) -> list[object]:
        """The rules that may still apply, known by how many digits will be heard before."""
        service = self.world.api.service
        call = service.calls.heard_by(INSTANCE, "job-1", "channel-1")
        rules: list[object] = []
        for state in service.stage.rules:
            first, last = state._digits
            times = state.rule.match.times
            if last > call and (times is None or state.applied < times):
                faults = state.rule.model_dump_json(exclude={"match", "name"}, exclude_none=True)
                rules.append((first - call, times and times - state.applied, faults))
        return rules

    def is_gone(self) -> bool:
        return _is_gone(self.world.api.service.calls)

    def api(self, rules: list[object]) -> object:
        """What the API will do with what comes."""
        settings = self.world.api.service.settings
        return rules, self.is_gone(), self.refusals_matter and (settings.burn, settings.nonce_first, self.world.line)

    # Who is there

    def actor(self, actor: Actor) -> object:
        """Where somebody is, and what he knows there."""
        state = (actor.at, actor.asleep, actor.hangs, actor.loses, actor.stopping.is_set(), len(actor.heartbeat))
        where: list[object] = []
        knows: dict[str, Any] = {}
        left: list[dict[str, Any]] = []
        for frame in actor.frames():
            known = frame.f_locals
            if frame.f_code.co_name == "play":
                left = _left_to_enqueue(known.get("tasks", []), known.get("task_id", ""))
                continue
            where.append((frame.f_code.co_name, frame.f_lasti))
            run = _run_of(frame)
            facts = {name: known[name] for name in HANDS & known.keys()}
            if run:
                facts |= {name: getattr(known["self"], name) for name in RUN}
                facts |= {name: getattr(run, name) for name in LEASE}
            knows = facts | knows
        return (
            actor.kind,
            state,
            self.ahead(actor.until),
            where,
            left,
            [(name, self.value(fact, name)) for name, fact in sorted(knows.items())],
        )

    def value(self, value: Any, name: str = "") -> object:
        """A value without names and absolute moments."""
        match value:
            case Mark():
                return self.place(value.task, value.digit), value.attempt, value.nonce
            case ["SEND", str(task), int(digit), attempt, nonce, _, _, _, doubt, throttled, probe, left_ms, _]:
                left = "far" if left_ms > FAR_MS else left_ms
                return self.place(task, digit), attempt, nonce, doubt, throttled, probe, left
            case list():
                return [self.value(one) for one in value]
            case Enum() | bool() | None:
                return value
            case int() | float() if name in DEADLINES:
                return self.deadline(value * 1000)
            case int() | float():
                return _moment(value, self.now)
            case Exception():
                return type(value).__name__, getattr(value, "code", None), getattr(value, "written", None)
            case _ if dataclasses.is_dataclass(value):
                names = [field.name for field in dataclasses.fields(value) if field.name != "left_ms"]
                return [(name, self.value(getattr(value, name), name)) for name in names]
            case str():
                return value if value.isupper() else ""
            case _:
                return type(value).__name__


def _left_to_enqueue(tasks: list[tuple[str, dict[str, Any]]], present: str) -> list[dict[str, Any]]:
    ids = [task for task, _ in tasks]
    left = tasks[ids.index(present) :] if present in ids else tasks
    return [{**options, "dtmf": len(options["dtmf"])} for _, options in left]


def _moment(value: Any, now_ms: int) -> object:
    """A number; if it is a moment (s or ms since 1970), how far away it is."""
    try:
        number = float(value)
    except ValueError:
        return value
    if number > now_ms / 2:
        return number - now_ms
    return round(number - now_ms / 1000, 3) if number > now_ms / 2000 else number


def _tokens(actor: Actor) -> set[str]:
    """Of the run that this actor is in."""
    return {run.token for run in map(_run_of, actor.frames()) if run}


def _run_of(frame: FrameType) -> Run | None:
    run = getattr(frame.f_locals.get("self"), "_run", None)
    return run if isinstance(run, Run) else None


def _pairs(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _is_gone(calls: Calls) -> bool:
    try:
        calls.find(INSTANCE, "job-1", "channel-1")
    except Refusal:
        return True
    return False
