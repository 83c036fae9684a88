"""Cases: a scene and what happens at which moments of it. All of them, not a sample."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.enumerate import acts as do
from tests.enumerate.acts import Do
from tests.enumerate.judge import Judge
from tests.enumerate.scenes import Scene
from tests.enumerate.watch import Broken
from tests.enumerate.world import World

Acts = Mapping[int, Do]


@dataclass
class Tally:
    """What came of cases.

    Attributes:
        cases: how many were played, by kind.
        limits: in how many of them a documented limit showed, by limit.
        broken: the shortest story of a broken promise, and how many there are.
    """

    cases: Counter[str] = field(default_factory=Counter)
    limits: Counter[str] = field(default_factory=Counter)
    broken: int = 0
    story: str = ""

    def add(self, other: "Tally") -> None:
        """Take in another's."""
        self.cases += other.cases
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


@dataclass(frozen=True)
class Moments:
    """The moments of a case: how many, and those at which something had changed since the one before."""

    count: int
    distinct: list[int]

    def of(self, act: Do) -> list[int]:
        """The moments at which the act makes a case of its own."""
        return list(range(1, self.count + 1)) if act.own else self.distinct


class Play:
    """Plays cases in a world, and keeps the tally."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tally = Tally()

    def play(self, kind: str, scene: Scene, acts: Acts) -> Moments:
        """Play a case; answers the moments it had."""
        self.tally.cases[kind] += 1
        try:
            limits = run_case(self.world, scene, acts)
        except Exception as error:  # noqa: BLE001 - an unforeseen error is a broken promise as well
            self.tally.failed(tell(self.world, scene, error))
        else:
            self.tally.limits.update(limits.keys())
        return Moments(self.world.moments, self.world.distinct)

    # Kinds of cases

    def one_act(self, kind: str, scene: Scene, act: Do) -> None:
        """The act at every moment of the scene."""
        for moment in self.play(kind, scene, {}).of(act):
            self.play(kind, scene, {moment: act})

    def two_acts(self, kind: str, scene: Scene, first: Do, second: Do) -> None:
        """The one act at every moment, and the other at every later moment of what then happens."""
        for moment in self.play(kind, scene, {}).of(first):
            for later in self.play(kind, scene, {moment: first}).of(second):
                if later > moment:
                    self.play(kind, scene, {moment: first, later: second})


def run_case(world: World, scene: Scene, acts: Acts) -> Counter[str]:
    """Play a case to its end and judge it; answers the documented limits that showed, or raises Broken."""
    world.reset(scene.for_simulator(), acts)
    scene.set_up(world)
    world.go_on()
    do.WAKE(world)
    world.go_on()
    judge = Judge(world)
    limits = judge.judge()
    judge.nothing_stood_still()
    world.clean_up()
    Judge(world).nothing_is_left()
    return limits


def tell(world: World, scene: Scene, error: Exception) -> str:
    """The story of a case, for people."""
    what = str(error) if isinstance(error, Broken) else f"{type(error).__name__}: {error}"
    lines = [f"{what}", f"scene: {scene}", *(f"{moment:4} {who:9} {label}" for moment, who, label in world.trace)]
    return "\n".join(lines)
