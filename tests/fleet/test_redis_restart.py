"""Redis is killed and started again under load: nothing is lost, doubled or swapped, and the fleet goes on."""

from tests.fleet.conftest import GroundMaker
from tests.fleet.harness import Line, Scene, dice, until
from worker.record import State

LINES = 24
TASKS = 8


def test_a_redis_that_is_killed_and_comes_back_loses_doubles_and_swaps_nothing(new_ground: GroundMaker) -> None:
    ground = new_ground(fsync="always", DTMF_CONCURRENCY=16)
    ground.start("one", "two")
    scene = Scene(ground)
    crowd = [Line.new() for _ in range(LINES)]
    scene.rule(*crowd, latency=[0.005, 0.02], answer_after=[0.02, 0.05])
    chance = dice(11)

    def enqueue(number: int) -> None:
        for line in crowd:
            dtmf = "".join(chance.choices("0123456789*#", k=4))
            scene.send(line, dtmf, task_id=f"{line.job_id}-{number}", expires_in=150)

    for number in range(TASKS // 2):
        enqueue(number)
    until(lambda: len(scene.heard()) > LINES, "digits heard")
    before = len(scene.heard())
    ground.redis.kill()
    ground.redis.start()
    ground.client.close()
    for number in range(TASKS // 2, TASKS):
        enqueue(number)
    assert before < LINES * TASKS // 2 * 4, "the server was killed with runs on"
    verdict = scene.verdict(complete=True)
    assert verdict.broken == []
    assert scene.transcript() == scene.enqueued()
    assert scene.states() <= {State.SENT, State.PRESUMED}
    # Celery logs a traceback of its own when it loses its broker.
    assert not [line for line in ground.logs().splitlines() if "unexpected error" in line or "CRITICAL" in line]
