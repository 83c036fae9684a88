"""The kinds of cases: which scenes, and what happens at which of their moments. Together they are the enumeration."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tests.enumerate import acts as do
from tests.enumerate.acts import Do
from tests.enumerate.cases import Play, Tally
from tests.enumerate.scenes import Scene, scenes, shapes
from tests.enumerate.world import World


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    Attributes:
        name: what happens.
        acts: one act, or two of which the second comes later.
        scenes: all scenes in which it happens.
        short: those of them that `make test` plays.
    """

    name: str
    acts: tuple[Do, ...]
    scenes: list[Scene]
    short: list[Scene]

    def play(self, world: World, scene: Scene) -> Tally:
        """All cases of this kind in a scene."""
        play = Play(world)
        if len(self.acts) == 1:
            play.one_act(self.name, scene, *self.acts)
        else:
            first, second = self.acts
            play.two_acts(self.name, scene, first, second)
        return play.tally


ALL = scenes(shapes(3, 3, 9))
FOUR = scenes(shapes(3, 3, 4))
THREE = scenes(shapes(3, 3, 3))
TWO = scenes(shapes(2, 2, 2))
ANSWERED = [Scene(shape) for shape in shapes(3, 3, 9)]
GO_ON = scenes([(1, 1), (1, 2), (2, 1), (1, 1, 1)], go_on=True)
RESEND = [
    Scene(scene.shape, scene.outcome, scene.at, scene.burns, resend=True)
    for scene in THREE
    if "internal" in scene.outcome
]
NEAR = [*scenes([(1,), (2,), (1, 1)], short=True), Scene((1, 1, 1), short=True), Scene((1, 1), go_on=True, short=True)]
TINY = scenes([(1, 1)])

ENQUEUE = do.enqueue("x1", dtmf="*")
ENQUEUE_ON = do.enqueue("x1", dtmf="*", on_failure="continue")


def _kinds() -> Iterable[Kind]:
    pairs = [*THREE, *ANSWERED, *GO_ON, *RESEND]
    yield Kind("one stop", (do.STOP,), [*ALL, *GO_ON, *RESEND], TWO)
    yield Kind("two stops", (do.STOP, do.STOP), pairs, [Scene((2, 1)), *TINY[:6]])
    yield Kind("a stopped run wakes up", (do.SLEEP, do.WAKE), pairs, [Scene((2, 1)), *TINY[:6]])
    yield Kind("a run sleeps, its successor stops", (do.SLEEP, do.STOP), [*TWO, *GO_ON], [Scene((1, 1))])
    for act, name in (
        (do.LOSE, "an answer is lost"),
        (do.LEAVE, "a worker is told to stop"),
        (do.LOSE_AND_LEAVE, "an answer is lost to a worker that is told to stop"),
    ):
        yield Kind(name, (act,), FOUR, TINY)
        yield Kind(f"{name}, a stop", (act, do.STOP), TWO, [Scene((1, 1))])
    yield Kind("two answers are lost", (do.LOSE, do.LOSE), TWO, [Scene((1, 1))])
    yield Kind("a message comes twice", (do.MESSAGE,), THREE, TINY)
    for number in (1, 2, 3):
        cancel = do.cancel(f"t{number}")
        where = [scene for scene in FOUR if len(scene.shape) >= number]
        small = [scene for scene in TWO if len(scene.shape) >= number]
        yield from _asked(f"t{number} is cancelled", cancel, where, small)
    yield from _asked("pause", do.PAUSE, THREE, TWO)
    yield from _asked("pause, resume", do.PAUSE_A_WHILE, FOUR, TWO)
    yield from _asked("purge", do.PURGE, FOUR, TWO)
    yield from _asked("another enqueues", ENQUEUE, FOUR, TWO)
    yield from _asked("another enqueues, to go on", ENQUEUE_ON, FOUR, TWO)
    yield Kind("2 s pass", (do.EXPIRE,), [*FOUR, *NEAR], [Scene((1, 1), short=True)])
    yield Kind("2 s pass, a stop", (do.EXPIRE, do.STOP), NEAR, [])
    yield Kind("a run sleeps, 2 s pass", (do.SLEEP, do.EXPIRE), NEAR, [])
    yield Kind("Redis restarts", (do.RESTART,), FOUR, TINY)
    yield Kind("Redis restarts, a stop", (do.RESTART, do.STOP), TWO, [])


def _asked(name: str, act: Do, where: list[Scene], small: list[Scene]) -> Iterable[Kind]:
    """An act at every moment, alone, before a stop and after one, and while a run is asleep."""
    short = [scene for scene in small if scene.outcome == "answered" and len(scene.shape) == 2]
    yield Kind(name, (act,), where, short)
    if small:
        yield Kind(f"{name}, a stop", (act, do.STOP), small, [])
        yield Kind(f"a stop, {name}", (do.STOP, act), small, [])
        yield Kind(f"a run sleeps, {name}", (do.SLEEP, act), small, [])


KINDS = list(_kinds())
Choose = Callable[[Kind], list[Scene]]
