"""The world of one case: real scripts, real runs, and a clock and a network that the harness holds in its hands.

Every run, producer and sweep is an actor: it runs in a greenlet and gives the word back at each boundary. A boundary
is a moment, numbered from 1; what the case has in store for a moment is done there, while everything stands still. An
actor that is not given the word again has died, as by kill -9; one that is given it late has been asleep.
"""

import json
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from unittest.mock import patch

from greenlet import GreenletExit, getcurrent
from redis import Redis

from tests.enumerate.actors import BEAT_MS, LUA, Actor, OwnTime, StagedQueue, TimedQueue
from tests.enumerate.api import CREDENTIALS, INSTANCE, Api
from tests.enumerate.watch import HOLD_MS, Broken, Press, Watch
from worker.ccc import StaticCredentials
from worker.channel.server import OUTAGE
from worker.door import Door
from worker.fleet.sweeper import Sweeper
from worker.record import Record
from worker.run import Defaults, Pace, Parts, serve
from worker.simulator.scene import Scene as SimulatorScene
from worker.task import check_task
from worker.vault import Vault, channel_digest

# In another century, so that nothing expires by itself.
BEGIN_MS = 4_000_000_000_000
KEY = bytes(range(32))
LONG_MS = 3 * 86_400_000
MOST_STEPS = 4000

Act = Callable[["World"], None]
# A moment by its number, or as the nth time that an actor (by its name) came to a boundary (by its label).
When = int | tuple[str, str, int]


class Asked(NamedTuple):
    """What a producer asked, what it was told, and how things stood then.

    Attributes:
        what: cancel, pause, resume or purge.
        on: a task's id, or a channel's digest.
        answer: of the queue.
        heard: how many digits had been heard.
        marks: the mark of each channel.
        accepted: the tasks that had been accepted.
    """

    what: str
    on: str
    answer: Any
    heard: int
    marks: dict[str, Press]
    accepted: list[str]


class World:
    """One server, one API, any number of actors; reset for each case."""

    def __init__(self, client: Redis, alter: Callable[[str, str], str] = lambda _, text: text) -> None:
        """alter: may change a script's text, to see that the harness notices."""
        self.redis: Any = client
        self.alter = alter
        self.now_ms = BEGIN_MS
        self.vault = Vault([KEY])
        self.watch = Watch(self)
        self.queue = TimedQueue(client, self)
        self._staged = StagedQueue(client, self)
        self._pass_time: str = self.redis.script_load((LUA / "pass_time.lua").read_text(encoding="utf-8"))
        self._dump: str = self.redis.script_load((LUA / "dump.lua").read_text(encoding="utf-8"))
        self.api = Api(self.watch.press_of, self.at, self.seconds, self._change, self._who)
        self.door = Door(cast(Any, SimpleNamespace(secret_keys=[KEY])))
        self.door.queue = self._staged
        self.actors: list[Actor] = []

    def seconds(self) -> float:
        return self.now_ms / 1000

    def reset(
        self,
        scene: SimulatorScene | None = None,
        acts: Mapping[Any, Act] | None = None,
        look: Callable[[int, Actor], object] | None = None,
        *,
        line: bool = True,
    ) -> None:
        """Everything as at the beginning of a case.

        Args:
            scene: what the API makes of requests.
            acts: what happens when.
            look: called with each moment, and who has come to it.
            line: a throttled answer cuts the fleet's rate, so that digits stand in line.
        """
        self.end()
        self._look = look
        self.line = line
        self.now_ms = BEGIN_MS
        harness = ("harness:now", BEGIN_MS, "harness:boot", "boot1", "harness:line", "1" if line else "")
        self._first: list[tuple[str | int, ...]] = [("FLUSHDB",), ("MSET", *harness)]
        self.acts: dict[When, Act] = dict(acts or {})
        self._cues: Counter[tuple[str, str]] = Counter()
        self.afterwards: list[Act] = []
        self.messages: list[str] = []
        self.sleepers: list[Actor] = []
        self.trace: list[tuple[int, str, str]] = []
        self.moment = self.moments = self.steps = self.changes = 0
        self.counts = True
        self.distinct: list[int] = []
        self._before: tuple[int, Actor | None] = (0, None)
        self.restarted = False
        self.given: dict[str, SimpleNamespace] = {}
        self.refused: dict[str, str] = {}
        self.asked: list[Asked] = []
        self.next_beat = BEGIN_MS + BEAT_MS
        self._late = False
        self.current: Actor | None = None
        self.api.reset(scene or SimulatorScene())
        self.watch.reset()

    def _who(self) -> str:
        return self.current.name if self.current else ""

    def _change(self) -> None:
        self.changes += 1

    def end(self) -> None:
        """Unwind what is left of the actors; nothing that they might do counts any more."""
        self.over = True
        for actor in self.actors:
            if actor.greenlet and not actor.greenlet.dead:
                actor.greenlet.throw(GreenletExit)
        self.actors = []
        self.over = False

    # Boundaries, called by the actors

    def at(self, label: str) -> bool:
        """A boundary of the actor that has the word; answers whether what is on its way is lost."""
        if self.over:
            raise GreenletExit
        return bool(self._hub().switch(label))

    def sleep(self, seconds: float) -> None:
        """The actor that has the word waits."""
        actor = self.current
        assert actor
        actor.until = self.now_ms + round(seconds * 1000)
        self._hub().switch(None)

    def _hub(self) -> Any:
        parent = getcurrent().parent
        assert parent is not None, "only an actor may come to a boundary"
        return parent

    def publish(self, ch: str) -> None:
        """Send the message "serve this channel"; it may be lost."""
        if not self.at("publish"):
            self.messages.append(ch)
            self._change()

    # Actors

    def produce(self, tasks: list[tuple[str, dict[str, Any]]]) -> Actor:
        """A producer that enqueues these tasks, (id, options), one after the other."""

        def play(_: Actor) -> None:
            for task_id, options in tasks:
                self._enqueue(task_id, options)

        return self._add("producer", play)

    def _enqueue(self, task_id: str, options: dict[str, Any]) -> None:
        channel_id = options.get("channel_id", "channel-1")
        given = {"job_id": "job-1", "gap_ms": 0, "expires_in": 30, **options, "channel_id": channel_id}
        task = check_task(**given, default_expires_ms=30_000, default_gap_ms=0)
        self.given.setdefault(
            task_id,
            SimpleNamespace(
                keys=task.dial.keys,
                ch=channel_digest(channel_id),
                go_on=task.on_failure == "continue",
                resend=task.on_unknown == "resend",
            ),
        )
        try:
            ch = self.door.enqueue(task_id, task)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
            self.refused[task_id] = type(error).__name__
            return
        if ch:
            self.publish(ch)

    def run(self, ch: str) -> Actor:
        """A worker takes a message."""
        number = sum(actor.name.startswith("run") for actor in self.actors) + 1
        return self._add(f"run{number}", lambda actor: serve(self.parts(actor), ch))

    def sweep(self) -> Actor:
        """A worker looks for channels that nobody serves."""

        def play(_: Actor) -> None:
            # As the thread that sweeps does: an outage passes.
            with suppress(*OUTAGE):
                Sweeper(
                    self._staged,
                    free=lambda: 1,
                    line_moves=lambda: False,
                    take=lambda _: False,
                    publish=self.publish,
                    every=0.2,
                ).sweep()

        return self._add("sweep", play)

    def parts(self, actor: Actor) -> Parts:
        """What a run of the worker's takes."""
        return Parts(
            queue=self._staged,
            client=cast(Any, self.api),
            credentials=StaticCredentials(CREDENTIALS),
            vault=self.vault,
            defaults=Defaults(INSTANCE, "user-1", "device-1"),
            pace=Pace(hold=HOLD_MS / 1000),
            heartbeat=actor.heartbeat,
            publish=self.publish,
            stopping=cast(Any, actor.stopping),
        )

    def _add(self, name: str, play: Callable[[Actor], None]) -> Actor:
        actor = Actor(self, name, play)
        self.actors.append(actor)
        self._change()
        return actor

    # The course of things

    def step(self, actor: Actor) -> None:
        """Give an actor the word until its next boundary; then do what the case has in store for that moment."""
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise Broken("it never comes to an end")
        self.current, loses, actor.loses = actor, actor.loses, False
        label = actor.greenlet.switch(loses) if actor.greenlet else actor.greenlet.switch()
        actor.at = str(label or "wait")
        if label:
            self.moment += 1
            self.moments += self.counts
            self.trace.append((self.moment, actor.name, actor.at))
            # Where nothing changed but the actor's own memory, its death is the same as a moment ago.
            if self.counts and (self.changes, actor) != self._before:
                self.distinct.append(self.moment)
            self._before = (self.changes, actor)
            if self._look and self.counts:
                self._look(self.moment, actor)
            cue = (actor.name, actor.at)
            self._cues[cue] += 1
            act = self.acts.get(self.moment) or self.acts.get((*cue, self._cues[cue]))
            if act:
                self.do(actor, act)
        self.current = None

    def do(self, actor: Actor, act: Act) -> None:
        """Something happens while this actor stands at its boundary."""
        self.trace.append((self.moment, "-->", getattr(act, "label", "act")))
        self.current = actor
        act(self)
        self.current = None

    def go_on(self) -> None:
        """Let everything run to its end."""
        while self.step_next():
            pass

    def step_next(self) -> bool:
        """Let the next thing happen: the last actor that came or was woken goes first. False: nothing will happen."""
        actor = next((actor for actor in reversed(self.actors) if self.can_go(actor)), None)
        if actor:
            self.step(actor)
        elif self.messages:
            self.run(self.messages.pop(0))
        else:
            return self._wait_for_something()
        return True

    def can_go(self, actor: Actor) -> bool:
        return not (actor.over or actor.asleep or actor.until > self.now_ms)

    def _wait_for_something(self) -> bool:
        if self.afterwards:
            self.afterwards.pop(0)(self)
            return True
        moments = [actor.until for actor in self.actors if not (actor.over or actor.asleep)]
        due = self.watch.due
        if due is not None:
            moments.append(int(due))
        if not moments:
            return False
        self.pass_time(max(min(moments), self.now_ms))
        if due is not None and due <= self.now_ms:
            self.sweep()
        return True

    def pass_time(self, to_ms: int) -> None:
        """Time passes; whoever is awake gives signs of life."""
        while self.now_ms < to_ms:
            awake = [actor for actor in self.actors if len(actor.heartbeat) and actor.beats]
            self.next_beat = max(self.next_beat, self.now_ms + 1)
            self.now_ms = min(to_ms, self.next_beat) if awake else to_ms
            self._late = True
            self._change()
            if self.now_ms >= self.next_beat:
                self.next_beat = self.now_ms + BEAT_MS
                for actor in awake:
                    actor.heartbeat.beat()

    def first_calls(self) -> list[tuple[str | int, ...]]:
        """What the server must be told before anything else: the case begins, time has passed."""
        calls, self._first = self._first, []
        if self._late:
            calls.append(("EVALSHA", self._pass_time, 0, self.now_ms))
            self._late = False
        return calls

    @property
    def passed_ms(self) -> int:
        """The time since the case began."""
        return self.now_ms - BEGIN_MS

    # What a case may do at a moment

    def wake(self, actor: Actor) -> None:
        """A sleeper goes on, before everybody else."""
        actor.asleep = False
        self.actors.remove(actor)
        self.actors.append(actor)

    def save(self) -> None:
        """The disk has what the server holds now."""
        self.queue.ask()
        for key in self.redis.keys("dtmf:*"):
            self.redis.copy(key, f"harness:disk:{key}", replace=True)

    def restore(self) -> None:
        """The server comes back as it was saved, without its later writes."""
        for key in self.redis.keys("dtmf:*"):
            self.redis.delete(key)
        for key in self.redis.keys("harness:disk:*"):
            self.redis.copy(key, key.removeprefix("harness:disk:"))
        self.watch.take_as_it_is(json.loads(self.redis.execute_command(*self.watch.look())))

    def dump(self) -> dict[str, Any]:
        """All that the server holds."""
        dump: dict[str, Any] = json.loads(self.queue.ask(("EVALSHA", self._dump, 0))[0])
        return {**dump, "records": [Record.model_validate_json(record) for record in dump["records"]]}

    def disturbed(self, acts: Container[str]) -> set[str]:
        """To whom one of these acts happened."""
        return {who for (_, who, _), (_, _, act) in pairwise(self.trace) if act in acts}

    def ended(self) -> tuple[list[Record], int]:
        """The records, in the order in which tasks ended, and how many tasks wait."""
        entries, waiting = self.queue.ask(("XRANGE", "dtmf:records", "-", "+"), ("GET", "dtmf:waiting"))
        records = [dict(zip(fields[::2], fields[1::2], strict=True))["record"] for _, fields in entries]
        return [Record.model_validate_json(record) for record in records], int(waiting or 0)

    def left(self) -> set[str]:
        """The keys that are there long afterwards, when whatever may expire has expired. Its moments do not count."""
        self.acts.clear()
        self.counts = False
        for _ in range(2):
            self.pass_time(self.now_ms + LONG_MS)
            self.go_on()
        return set(self.queue.ask(("KEYS", "dtmf:*"))[0])


@contextmanager
def world_of(client: Redis, alter: Callable[[str, str], str] = lambda _, text: text) -> Iterator[World]:
    """A world whose time is the worker's time, for as long as the context lasts."""
    world = World(client, alter)
    with ExitStack() as stack:
        for module in ("clock", "run", "door"):
            stack.enter_context(patch(f"worker.{module}.time", OwnTime(world)))
        # Pauses that are the same whatever was before.
        stack.enter_context(patch("worker.attempt.random.uniform", lambda _, most: most))
        try:
            yield world
        finally:
            world.end()
