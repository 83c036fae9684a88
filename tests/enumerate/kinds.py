"""The kinds of cases: which scenes, and what happens at which of their moments. Together they are the enumeration."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tests.enumerate import acts as do
from tests.enumerate.acts import Do
from tests.enumerate.cases import Known, Play, Tally
from tests.enumerate.scenes import ALWAYS, NO_ANSWER, Scene, scenes, shapes
from tests.enumerate.world import World


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    Attributes:
        name: what happens.
        acts: one act, or two of which the second comes later.
        scenes: all scenes in which it happens.
        usual: those of them that `make enumerate` plays.
        short: those that `make test` plays.
        once: of cases that are alike, only one is played.
    """

    name: str
    acts: tuple[Do, ...]
    scenes: list[Scene]
    usual: list[Scene]
    short: list[Scene]
    once: bool = False

    def play(self, world: World, scene: Scene, known: Known | None = None) -> Tally:
        """All cases of this kind in a scene."""
        play = Play(world, known if self.once else None)
        if len(self.acts) == 1:
            play.one_act(scene, *self.acts)
        else:
            first, second = self.acts
            play.two_acts(scene, first, second)
        return play.tally


def _kind(name: str, acts: tuple[Do, ...], scenes_: list[Scene], short: list[Scene]) -> Kind:
    """A kind that is usually played in the scenes in which the most may go wrong in the least time.

    Likeness is shown for some acts only (test_likeness.py): it knows too little of others.
    """
    usual = [s for s in scenes_ if s.outcome not in ALWAYS and sum(s.shape) <= (3 if s.outcome in TELLING else 2)]
    usual += [scene for scene in short if scene not in usual]
    return Kind(name, acts, scenes_, usual, short, once=set(acts) <= ONCE)


ONCE = {do.STOP, do.SLEEP, do.WAKE, do.SLEEP_ANYWHERE, do.EXPIRE}
# The answers after which a digit is tried again, and the plain case.
TELLING = {"answered", "throttled", *NO_ANSWER}
THREE = scenes(shapes(3, 3, 3))
TWO = scenes(shapes(2, 2, 2))
GO_ON = scenes([(1, 1), (1, 2), (2, 1)], go_on=True)
RESEND = [replace(scene, resend=True) for scene in THREE if "internal" in scene.outcome]
NONCE_FIRST = [replace(scene, nonce_first=True) for scene in TWO if scene.outcome == "throttled"]
NEAR = [*scenes([(1,), (2,), (1, 1)], short=True), Scene((1, 1, 1), short=True), Scene((1, 1), go_on=True, short=True)]
# Where nothing ends a task but what happens to it; for pairs.
FEW = [s for s in TWO if len(s.shape) + s.shape[0] == 3 and s.outcome in TELLING and s.at <= 1]
EVERY = [*scenes(shapes(3, 3, 9)), *GO_ON, *RESEND, *NONCE_FIRST]
# One to three tasks of one to three digits each, and all shapes of three digits at the most.
SHAPES = sorted({*shapes(3, 3, 3), *((digits,) * tasks for tasks in (1, 2, 3) for digits in (1, 2, 3))}, key=sum)
# With every outcome; in the larger ones at the first digit, since what is over changes little for what comes.
USUAL = [s for s in scenes(SHAPES) if sum(s.shape) <= 3 or s.at <= 1]
# And what a task may ask for, or a gateway do otherwise, in two digits.
USUAL += [s for s in (*GO_ON, *RESEND, *NONCE_FIRST) if sum(s.shape) <= 2]
LITTLE = [Scene((1, 1)), Scene((1, 1), "throttled", 2), Scene((1, 1), "rejected", 1)]

ENQUEUE = do.enqueue("x1", dtmf="*")
ENQUEUE_ON = do.enqueue("x1", dtmf="*", on_failure="continue")


def _kinds() -> Iterable[Kind]:
    short = [Scene((2, 1)), *LITTLE]
    yield Kind("one stop", (do.STOP,), EVERY, [s for s in EVERY if s.shape in SHAPES], TWO, once=True)
    yield Kind("two stops", (do.STOP, do.STOP), EVERY, USUAL, short, once=True)
    yield Kind("a run sleeps and wakes up", (do.SLEEP, do.WAKE), EVERY, USUAL, short, once=True)
    yield _kind("a run sleeps, a stop", (do.SLEEP, do.STOP), [*FEW, Scene((1, 1), go_on=True)], LITTLE[:1])
    yield from _run("an answer is lost", do.LOSE)
    yield _kind("two answers are lost", (do.LOSE, do.LOSE), TWO, LITTLE[:1])
    yield from _run("a worker is told to stop", do.LEAVE)
    yield from _run("an answer is lost to a worker that stops", do.LOSE_AND_LEAVE)
    yield _kind("a message comes twice", (do.MESSAGE,), THREE, LITTLE)
    for number in (1, 2, 3):
        yield from _asked(f"t{number} is cancelled", do.cancel(f"t{number}"), number)
    yield from _asked("pause", do.PAUSE)
    yield from _asked("pause, resume", do.PAUSE_A_WHILE)
    yield from _asked("purge", do.PURGE)
    yield from _asked("another enqueues", ENQUEUE)
    yield from _asked("another enqueues, to go on", ENQUEUE_ON)
    near = [*THREE, *NEAR, *(replace(scene, short=True) for scene in RESEND)]
    yield Kind("2 s pass", (do.EXPIRE,), near, near, [Scene((1, 1), short=True)], once=True)
    yield _kind("2 s pass, a stop", (do.EXPIRE, do.STOP), NEAR, [])
    yield _kind("a run sleeps, 2 s pass", (do.SLEEP_ANYWHERE, do.EXPIRE), NEAR, [])
    yield _kind("Redis restarts", (do.RESTART,), THREE, LITTLE)
    yield _kind("Redis restarts, a stop", (do.RESTART, do.STOP), FEW, [])


def _run(name: str, act: Do) -> Iterable[Kind]:
    """What happens to whoever has the word, at every moment: alone, and before a stop."""
    yield _kind(name, (act,), THREE, LITTLE)
    yield _kind(f"{name}, a stop", (act, do.STOP), FEW, LITTLE[:1])


def _asked(name: str, act: Do, tasks: int = 1) -> Iterable[Kind]:
    """What somebody asks at every moment: alone, before a stop and after one, and while a run is asleep."""
    where = [scene for scene in (*THREE, *RESEND) if len(scene.shape) >= tasks]
    few = [scene for scene in FEW if len(scene.shape) >= tasks] or [Scene((1, 1, 1))]
    yield _kind(name, (act,), where, [scene for scene in LITTLE if scene in where])
    yield _kind(f"{name}, a stop", (act, do.STOP), few, [])
    yield _kind(f"a stop, {name}", (do.STOP, act), few, [])
    yield _kind(f"a run sleeps, {name}", (do.SLEEP, act), few, [])


KINDS = list(_kinds())
