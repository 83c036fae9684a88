"""Random interleavings that hypothesis thinks of, on the harness of the enumeration: several channels at once.

Three workers and three channels, cancellations, pauses and purges, messages that are lost, doubled or late, answers
that are lost, runs that sleep, hang or die, and a server that restarts.
"""

import logging
import os
from typing import ClassVar, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from redis import Redis

from tests.enumerate import acts as do
from tests.enumerate.actors import Actor
from tests.enumerate.judge import Judge
from tests.enumerate.scenes import THROTTLE
from tests.enumerate.world import World, world_of
from worker.simulator.scene import Drop, Error, Match, Rule, Settings
from worker.simulator.scene import Scene as SimulatorScene
from worker.vault import channel_digest

T = TypeVar("T")
CHANNELS = st.sampled_from(["channel-1", "channel-2", "channel-3"])
MOST_RUNS = 3
# More of them, and others each time: DTMF_EXAMPLES=5000 .venv/bin/pytest tests/enumerate/test_machine.py
EXAMPLES = int(os.environ.get("DTMF_EXAMPLES", "100"))
ANY = st.integers(0, 20)
MISHAPS = (do.STOP, do.LOSE, do.LOSE, do.SLEEP, do.HANG, do.LEAVE, do.LOSE_AND_LEAVE)
FAULTS = (
    Rule(match=Match(probability=0.1), drop=Drop(when="before")),
    Rule(match=Match(probability=0.1), drop=Drop(when="after")),
    Rule(match=Match(probability=0.1), throttle=THROTTLE),
    Rule(match=Match(probability=0.05), error=Error(code="InternalError")),
    Rule(match=Match(probability=0.03), error=Error(code="InvalidParameter")),
    Rule(match=Match(probability=0.03), hang_up="channel"),
)


class Interleavings(RuleBasedStateMachine):
    """The word goes to anybody, at any time; in the end everything is served and judged."""

    world: ClassVar[World]

    @initialize(burns=st.booleans(), faults=st.booleans(), restarts=st.booleans(), seed=st.integers(0, 9))
    def begin(self, burns: bool, faults: bool, restarts: bool, seed: int) -> None:
        rules = list(FAULTS) if faults else []
        self.world.reset(SimulatorScene(seed=seed, settings=Settings(burn=burns), rules=rules))
        self.tasks, self.restarts = 0, int(restarts)

    def awake(self) -> list[Actor]:
        return [actor for actor in self.world.actors if self.world.can_go(actor)]

    def standing(self) -> list[Actor]:
        """Actors at a boundary, with something of theirs on its way."""
        return [actor for actor in self.awake() if actor.at not in {"", "wait"}]

    def runs(self) -> int:
        return sum(a.name.startswith("run") and not (a.over or a.asleep) for a in self.world.actors)

    # The course of things

    @rule(ch=CHANNELS, digits=st.integers(1, 3), go_on=st.booleans(), near=st.booleans())
    def enqueue(self, ch: str, digits: int, go_on: bool, near: bool) -> None:
        self.tasks += 1
        options = {"channel_id": ch, "expires_in": 2 if near else 30, "on_failure": "continue" if go_on else "cancel"}
        self.world.produce([(f"t{self.tasks}", {"dtmf": "123"[:digits], **options})])

    @precondition(lambda self: self.awake())
    @rule(which=ANY, steps=st.integers(1, 12))
    def go_on(self, which: int, steps: int) -> None:
        actor = pick(self.awake(), which)
        for _ in range(steps):
            if self.world.can_go(actor):
                self.world.step(actor)

    @rule(steps=st.integers(1, 20))
    def all_go_on(self, steps: int) -> None:
        """Who came last goes first; messages are delivered, time passes where nothing else can happen."""
        for _ in range(steps):
            self.world.step_next()

    @precondition(lambda self: self.world.messages and self.runs() < MOST_RUNS)
    @rule(which=ANY)
    def deliver(self, which: int) -> None:
        """Messages overtake one another."""
        message = pick(self.world.messages, which)
        self.world.messages.remove(message)
        self.world.run(message)

    @rule(ms=st.sampled_from([100, 500, 1300, 6000]))
    def time_passes(self, ms: int) -> None:
        self.world.pass_time(self.world.now_ms + ms)
        self.world.sweep()

    # What goes wrong

    @precondition(lambda self: self.standing())
    @rule(which=ANY, act=st.sampled_from(MISHAPS))
    def mishap(self, which: int, act: do.Do) -> None:
        self.world.do(pick(self.standing(), which), act)

    @precondition(lambda self: self.standing())
    @rule(which=ANY)
    def be_taken_for_dead(self, which: int) -> None:
        """A run sleeps for longer than its lease, and the others go on."""
        self.world.do(pick(self.standing(), which), do.SLEEP)
        self.world.pass_time(self.world.now_ms + 1300)
        self.world.sweep()

    @precondition(lambda self: self.world.sleepers)
    @rule(which=ANY)
    def wake_up(self, which: int) -> None:
        sleeper = pick(self.world.sleepers, which)
        self.world.sleepers.remove(sleeper)
        self.world.wake(sleeper)

    @rule(ch=CHANNELS, lost=st.booleans(), which=ANY)
    def message_is_lost_or_doubled(self, ch: str, lost: bool, which: int) -> None:
        if lost and self.world.messages:
            self.world.messages.remove(pick(self.world.messages, which))
        elif self.runs() < MOST_RUNS:
            self.world.messages.append(channel_digest(ch))

    @precondition(lambda self: self.restarts)
    @rule()
    def restart(self) -> None:
        self.restarts = 0
        do.RESTART(self.world)

    # What producers and operators ask

    @rule(ch=CHANNELS, what=st.sampled_from(["cancel", "cancel", "pause", "resume", "purge"]), which=ANY)
    def ask(self, ch: str, what: str, which: int) -> None:
        digest = channel_digest(ch)
        if what != "cancel":
            {"pause": do.pause, "resume": do.resume, "purge": do.purge}[what](digest)(self.world)
        elif self.world.given:
            do.cancel(pick(list(self.world.given), which))(self.world)

    def teardown(self) -> None:
        """Everybody wakes up, everything is served to its end and judged."""
        if not hasattr(self, "tasks"):
            return
        for ch in ("channel-1", "channel-2", "channel-3"):
            do.resume(channel_digest(ch))(self.world)
        do.WAKE(self.world)
        self.world.go_on()
        Judge(self.world).judge()
        Judge(self.world).nothing_is_left()


def pick(things: list[T], which: int) -> T:
    """One of them."""
    return things[which % len(things)]


def test_the_promises_hold_in_every_interleaving(redis_client: Redis) -> None:
    logging.disable(logging.CRITICAL)
    with world_of(redis_client) as Interleavings.world:
        Interleavings.TestCase.settings = settings(
            max_examples=EXAMPLES,
            stateful_step_count=60,
            derandomize=EXAMPLES == 100,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # To see the shortest story of a failure, allow shrinking.
            phases=[Phase.generate],
        )
        Interleavings.TestCase("runTest").runTest()
    logging.disable(logging.NOTSET)
