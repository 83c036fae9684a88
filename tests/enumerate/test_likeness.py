"""Worlds that are taken for alike go on alike: that is why the enumeration may play one of them."""

from dataclasses import dataclass

import pytest

from tests.enumerate import acts as do
from tests.enumerate.actors import Actor
from tests.enumerate.acts import Do
from tests.enumerate.cases import Acts, Play, run_case
from tests.enumerate.likeness import Look, likeness
from tests.enumerate.scenes import Scene
from tests.enumerate.watch import Broken
from tests.enumerate.world import World

PAIRS = [
    (do.STOP, do.STOP),
    (do.SLEEP, do.WAKE),
    (do.SLEEP, do.STOP),
    (do.SLEEP_ANYWHERE, do.EXPIRE),
    (do.EXPIRE, do.STOP),
]
SCENES = [
    Scene((2,)),
    Scene((1, 1)),
    Scene((2, 1)),
    Scene((1, 1), "executed, no answer", 1),
    Scene((2,), "executed, no answer", 2),
    Scene((1, 1), "rejected", 2, burns=False),
    Scene((2,), "throttled", 1),
    Scene((1, 1), "throttled", 1, go_on=True),
    Scene((1, 1), short=True),
    # Two sleepers that have yet to read what they were answered.
    Scene((1,), "internal", 1, burns=False),
    Scene((1,), "not executed, no answer", 1),
]


@dataclass(frozen=True)
class Outlook:
    """What came after a moment.

    Attributes:
        steps: who came to which boundary.
        ends: how each task that waited ended, and its digits to come.
        heard: how many digits were heard.
        ms: how long it took.
        broken: a promise was broken.
    """

    steps: tuple[tuple[str, str], ...]
    ends: tuple[object, ...]
    heard: int
    ms: int
    broken: bool


class Case:
    """A case whose world is looked at when its last act happens."""

    def __init__(self, world: World, scene: Scene, acts: Acts) -> None:
        self.world = world
        self.last = max(acts)
        self.alike = b""
        self.look: Look | None = None
        try:
            run_case(world, scene, acts, self.see)
        except Broken:
            self.broken = True
        else:
            self.broken = False

    def see(self, moment: int, actor: Actor) -> None:
        if moment == self.last:
            dies = self.world.acts[moment] is do.STOP
            self.alike = likeness(self.world, actor, dies=dies)
            self.look = Look(self.world, actor if dies else None)
            self.steps, self.heard = len(self.world.trace), len(self.world.api.heard)

    def outlook(self) -> Outlook:
        assert self.look
        world, look = self.world, self.look
        after = world.trace[self.steps :]
        ends = []
        for task in look.waiting:
            record = next(record for record in world.dump()["records"] if record.id == task)
            to_come = record.digits[int(look.tasks[task]["at"]) - 1 :]
            ends.append((record.state, record.error, tuple(digit.outcome for digit in to_come)))
        return Outlook(
            tuple((who.rstrip("0123456789"), label) for _, who, label in after),
            tuple(ends),
            len(world.api.heard) - self.heard,
            world.now_ms - look.now,
            self.broken,
        )


@pytest.mark.parametrize(("first", "second"), PAIRS, ids=lambda act: act.label)
def test_what_is_alike_goes_on_alike(world: World, first: Do, second: Do) -> None:
    seen: dict[bytes, tuple[Outlook, str]] = {}
    play, merged = Play(world), 0
    for scene in SCENES:
        for moment, _ in play.moments(scene, {}, first):
            cases: list[Acts] = [{moment: first}]
            cases += [{moment: first, later: second} for later, _ in play.moments(scene, {moment: first}, second)]
            for acts in cases:
                case = Case(world, scene, acts)
                outlook, story = case.outlook(), f"{scene} {sorted(acts)}"
                key = case.alike + acts[max(acts)].label.encode()
                before, where = seen.setdefault(key, (outlook, story))
                assert before == outlook, f"{where} and {story} were taken for alike"
                merged += where != story
    assert merged > len(seen) / 10, "nothing is alike: the likeness says too much"
