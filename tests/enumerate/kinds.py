"""The kinds of cases: which scenes, and what happens at which of their moments. Together they are the enumeration."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tests.enumerate import acts as do
from tests.enumerate.acts import Do
from tests.enumerate.cases import Play, Tally
from tests.enumerate.scenes import ALWAYS, NO_ANSWER, Scene, scenes, shapes
from tests.enumerate.world import World


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    Attributes:
        name: what happens.
        acts: one act, or two of which the second comes later.
        scenes: all scenes in which it happens.
        short: those of them that `make test` plays.
        usual: those that `make enumerate` plays.
    """

    name: str
    acts: tuple[Do, ...]
    scenes: list[Scene]
    short: list[Scene]

    @property
    def usual(self) -> list[Scene]:
        """One stop in every scene; else the scenes in which the most may go wrong in the least time."""
        return [scene for scene in self.scenes if scene in self.short or self.name in WHOLE or _is_usual(scene)]

    def play(self, world: World, scene: Scene) -> Tally:
        """All cases of this kind in a scene."""
        play = Play(world)
        if len(self.acts) == 1:
            play.one_act(self.name, scene, *self.acts)
        else:
            first, second = self.acts
            play.two_acts(self.name, scene, first, second)
        return play.tally


WHOLE = {"one stop", "2 s pass"}


def _is_usual(scene: Scene) -> bool:
    digits = sum(scene.shape)
    if scene.outcome == "answered":
        return digits <= 5
    return digits <= (3 if scene.outcome in TELLING else 2) and scene.outcome not in ALWAYS


# The answers after which a digit is tried again.
TELLING = {"throttled", *NO_ANSWER}
THREE = scenes(shapes(3, 3, 3))
# A deadline that passes means many attempts, and so many moments: in longer scenes it tells nothing new.
LONG = [s for s in scenes(shapes(3, 3, 9)) if sum(s.shape) > 3 and s.burns and s.outcome not in ALWAYS]
TWO = scenes(shapes(2, 2, 2))
ANSWERED = [Scene(shape) for shape in shapes(3, 3, 9) if sum(shape) > 3]
GO_ON = scenes([(1, 1), (1, 2), (2, 1)], go_on=True)
RESEND = [replace(scene, resend=True) for scene in THREE if "internal" in scene.outcome]
NONCE_FIRST = [replace(scene, nonce_first=True) for scene in TWO if scene.outcome == "throttled"]
NEAR = [*scenes([(1,), (2,), (1, 1)], short=True), Scene((1, 1, 1), short=True), Scene((1, 1), go_on=True, short=True)]
# Where nothing ends a task but what happens to it; for pairs.
FEW = [s for s in TWO if len(s.shape) + s.shape[0] == 3 and s.outcome in {"answered", *TELLING} and s.at <= 1]
# For pairs: all of two digits; of three, where a refusal that burns nothing makes a difference.
PAIRS = [
    *TWO,
    *(s for s in THREE if sum(s.shape) == 3 and s.outcome not in ALWAYS and (s.burns or s.outcome == "throttled")),
    *(s for s in GO_ON if sum(s.shape) == 2 or (s.burns and s.outcome not in ALWAYS)),
    *(s for s in RESEND if s.burns),
    *NONCE_FIRST,
]
LITTLE = [Scene((1, 1)), Scene((1, 1), "throttled", 2), Scene((1, 1), "rejected", 1)]

ENQUEUE = do.enqueue("x1", dtmf="*")
ENQUEUE_ON = do.enqueue("x1", dtmf="*", on_failure="continue")


def _kinds() -> Iterable[Kind]:
    yield Kind("one stop", (do.STOP,), [*THREE, *LONG, *ANSWERED, *GO_ON, *RESEND, *NONCE_FIRST], TWO)
    yield Kind("two stops", (do.STOP, do.STOP), [*PAIRS, *ANSWERED], [Scene((2, 1)), *LITTLE])
    yield Kind("a run sleeps and wakes up", (do.SLEEP, do.WAKE), [*PAIRS, *ANSWERED], [Scene((2, 1)), *LITTLE])
    yield Kind("a run sleeps, a stop", (do.SLEEP, do.STOP), [*FEW, Scene((1, 1), go_on=True)], LITTLE[:1])
    yield from _run("an answer is lost", do.LOSE)
    yield Kind("two answers are lost", (do.LOSE, do.LOSE), TWO, LITTLE[:1])
    yield from _run("a worker is told to stop", do.LEAVE)
    yield from _run("an answer is lost to a worker that stops", do.LOSE_AND_LEAVE)
    yield Kind("a message comes twice", (do.MESSAGE,), THREE, LITTLE)
    for number in (1, 2, 3):
        yield from _asked(f"t{number} is cancelled", do.cancel(f"t{number}"), number)
    yield from _asked("pause", do.PAUSE)
    yield from _asked("pause, resume", do.PAUSE_A_WHILE)
    yield from _asked("purge", do.PURGE)
    yield from _asked("another enqueues", ENQUEUE)
    yield from _asked("another enqueues, to go on", ENQUEUE_ON)
    yield Kind("2 s pass", (do.EXPIRE,), [*THREE, *NEAR], [Scene((1, 1), short=True)])
    yield Kind("2 s pass, a stop", (do.EXPIRE, do.STOP), NEAR, [])
    yield Kind("a run sleeps, 2 s pass", (do.SLEEP_ANYWHERE, do.EXPIRE), NEAR, [])
    yield Kind("Redis restarts", (do.RESTART,), THREE, LITTLE)
    yield Kind("Redis restarts, a stop", (do.RESTART, do.STOP), FEW, [])


def _run(name: str, act: Do) -> Iterable[Kind]:
    """What happens to whoever has the word, at every moment: alone, and before a stop."""
    yield Kind(name, (act,), THREE, LITTLE)
    yield Kind(f"{name}, a stop", (act, do.STOP), FEW, LITTLE[:1])


def _asked(name: str, act: Do, tasks: int = 1) -> Iterable[Kind]:
    """What somebody asks at every moment: alone, before a stop and after one, and while a run is asleep."""
    where = [scene for scene in THREE if len(scene.shape) >= tasks]
    few = [scene for scene in FEW if len(scene.shape) >= tasks] or [Scene((1, 1, 1))]
    yield Kind(name, (act,), where, [scene for scene in LITTLE if scene in where])
    yield Kind(f"{name}, a stop", (act, do.STOP), few, [])
    yield Kind(f"a stop, {name}", (do.STOP, act), few, [])
    yield Kind(f"a run sleeps, {name}", (do.SLEEP, act), few, [])


KINDS = list(_kinds())
