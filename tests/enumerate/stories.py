"""Stories: one case each, told by who comes to which boundary for which time."""

from typing import Any

from tests.enumerate import acts as do
from tests.enumerate.acts import Do
from tests.enumerate.judge import Judge
from tests.enumerate.world import When, World
from worker.record import Record
from worker.simulator.scene import Rule, Settings
from worker.simulator.scene import Scene as SimulatorScene

Task = tuple[str, dict[str, Any]]


class Story:
    """A case that is told at length."""

    def __init__(self, world: World, *rules: Rule, **settings: Any) -> None:
        """The rules and settings are the simulator's."""
        self.world = world
        self._scene = SimulatorScene(settings=Settings(**settings), rules=list(rules))
        self.limits: dict[str, int] = {}

    def play(self, tasks: list[Task], acts: dict[When, Do]) -> "Story":
        """Play it to its end, and judge it as every case."""
        self.world.reset(self._scene, acts)
        self.world.produce(tasks)
        return self.finish()

    def finish(self) -> "Story":
        """Let everything come to its end."""
        self.world.go_on()
        do.WAKE(self.world)
        self.world.go_on()
        judge = Judge(self.world)
        self.limits = dict(judge.judge())
        self._records = judge.by_id
        return self

    @property
    def heard(self) -> str:
        return self.world.api.heard

    @property
    def ms(self) -> int:
        """How long it took."""
        return self.world.passed_ms

    def record(self, task: str) -> Record:
        return self._records[task]

    def states(self) -> dict[str, str]:
        return {task: str(record.state) for task, record in self._records.items()}


def task(task_id: str, dtmf: str, **options: Any) -> Task:
    """A task of the story."""
    return task_id, {"dtmf": dtmf, **options}
