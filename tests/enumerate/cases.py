"""Cases: a scene and what happens at which moments of it. All of them, not a sample."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.enumerate import acts as do
from tests.enumerate.actors import Actor
from tests.enumerate.acts import Do
from tests.enumerate.judge import Judge
from tests.enumerate.likeness import likeness
from tests.enumerate.scenes import Scene
from tests.enumerate.watch import Broken
from tests.enumerate.world import World

Acts = Mapping[int, Do]
Look = Callable[[int, Actor], object]


@dataclass
class Tally:
    """What came of cases.

    Attributes:
        cases: how many there are.
        played: how many of them were played; the others are like one that was.
        limits: in how many of them a documented limit showed, by limit.
        broken: the shortest story of a broken promise, and how many there are.
    """

    cases: int = 0
    played: int = 0
    limits: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    story: str = ""

    def add(self, other: "Tally") -> None:
        """Take in another's."""
        self.cases += other.cases
        self.played += other.played
        self.limits += other.limits
        self.broken += other.broken
        self._shorter(other.story)

    def failed(self, story: str) -> None:
        """A promise was broken."""
        self.broken += 1
        self._shorter(story)

    def _shorter(self, story: str) -> None:
        if story and (not self.story or story.count("\n") < self.story.count("\n")):
            self.story = story


class Known:
    """What was played already, as far as it is known by what it was like; see likeness.py.

    The acts that are still to come, and what the world was like → how many cases came of it.
    """

    def __init__(self) -> None:
        self._cases: dict[tuple[tuple[str, ...], bytes], int] = {}

    def of(self, acts: tuple[Do, ...], alike: bytes) -> int:
        """How many cases are known; 0: none."""
        return self._cases.get((tuple(act.label for act in acts), alike), 0)

    def add(self, acts: tuple[Do, ...], alike: bytes, cases: int) -> None:
        """So many cases were played."""
        self._cases[tuple(act.label for act in acts), alike] = cases


class Play:
    """Plays cases in a world, and keeps the tally.

    With `known`, cases that are alike are played once, and counted as often as there are.
    """

    def __init__(self, world: World, known: Known | None = None) -> None:
        self.world = world
        self.tally = Tally()
        self._known = known

    def play(self, scene: Scene, acts: Acts, look: Look | None = None) -> None:
        """Play a case."""
        self.tally.cases += 1
        self.tally.played += 1
        try:
            limits = run_case(self.world, scene, acts, look)
        except Exception as error:  # noqa: BLE001 - an unforeseen error is a broken promise as well
            self.tally.failed(tell(self.world, scene, error))
        else:
            self.tally.limits.update(limits.keys())

    def moments(self, scene: Scene, acts: Acts, act: Do, *, anybody: bool = True) -> list[tuple[int, bytes]]:
        """Play a case; the later moments at which the act makes a case of its own, and what each is like.

        Not anybody: those at which it happens to a run.
        """
        alike: dict[int, bytes] = {}
        last = max(acts, default=0)

        def look(moment: int, actor: Actor) -> None:
            is_new = act.own or self.world.distinct[-1:] == [moment]
            if moment > last and is_new and (anybody or actor.kind == "run"):
                alike[moment] = likeness(self.world, actor, dies=act is do.STOP) if self._known else b""

        self.play(scene, acts, look)
        return list(alike.items())

    # Kinds of cases

    def one_act(self, scene: Scene, act: Do) -> None:
        """The act at every moment of the scene."""
        for moment, alike in self.moments(scene, {}, act):
            if not self._count_known((act,), alike):
                self.play(scene, {moment: act})
                self._note((act,), alike, 1)

    def two_acts(self, scene: Scene, first: Do, second: Do) -> None:
        """The one act at every moment, and the other at every later moment of what then happens.

        In a scene that is not little only runs stop or fall asleep. (A producer that does enqueues less, or late.)
        """
        anybody = {act: scene.is_little or act not in {do.STOP, do.SLEEP} for act in (first, second)}
        for moment, alike in self.moments(scene, {}, first, anybody=anybody[first]):
            acts = {moment: first}
            if not self._count_known((first, second), alike):
                later = self.moments(scene, acts, second, anybody=anybody[second])
                for moment_2, alike_2 in later:
                    if not self._count_known((second,), alike_2):
                        self.play(scene, {**acts, moment_2: second})
                        self._note((second,), alike_2, 1)
                self._note((first, second), alike, 1 + len(later))

    def _count_known(self, acts: tuple[Do, ...], alike: bytes) -> int:
        cases = self._known.of(acts, alike) if self._known else 0
        self.tally.cases += cases
        return cases

    def _note(self, acts: tuple[Do, ...], alike: bytes, cases: int) -> None:
        if self._known:
            self._known.add(acts, alike, cases)


def run_case(world: World, scene: Scene, acts: Acts, look: Look | None = None) -> Counter[str]:
    """Play a case to its end and judge it; answers the documented limits that showed, or raises Broken."""
    world.reset(scene.for_simulator(), acts, look, line=scene.is_little)
    scene.set_up(world)
    world.go_on()
    do.WAKE(world)
    world.go_on()
    judge = Judge(world)
    limits = judge.judge()
    judge.nothing_stood_still()
    judge.nothing_is_left()
    return limits


def tell(world: World, scene: Scene, error: Exception) -> str:
    """The story of a case, for people."""
    what = str(error) if isinstance(error, Broken) else f"{type(error).__name__}: {error}"
    lines = [f"{what}", f"scene: {scene}", *(f"{moment:4} {who:9} {label}" for moment, who, label in world.trace)]
    return "\n".join(lines)
