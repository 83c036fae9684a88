"""Redis is killed under load and comes back without its last second: what is not forgotten is pressed once and ends."""

import threading
import time
from collections import deque
from pathlib import Path
from typing import Self

from tests.fleet.harness import Ground, Scene, dice, until
from tests.soak.load import Load
from tests.soak.outage import WORKERS, see_producers, see_recoveries, see_workers, wait_for_server, works_again
from tests.soak.result import Result
from worker.demo.verdict import Enqueued, judge

NAME = "Redis rolled back by a second"
SETTINGS: dict[str, object] = {"DTMF_CONCURRENCY": 24, "fsync": "everysec"}
LOST_S = 1.0


class Film:
    """Notes how long the server's append-only file was at which moment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: deque[tuple[float, Path, int]] = deque(maxlen=200)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._note, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _file(self) -> Path:
        return max(self._folder.glob("appendonlydir/*.incr.aof"), key=lambda path: path.stat().st_mtime)

    def _note(self) -> None:
        while not self._stop.wait(0.02):
            path = self._file()
            self._sizes.append((time.monotonic(), path, path.stat().st_size))

    def cut(self, seconds: float) -> int:
        """Cut the file of a server that has ended back to what it was so long ago; answers by how many bytes."""
        path = self._file()
        before = [size for at, noted, size in list(self._sizes) if noted == path and at < time.monotonic() - seconds]
        size = before[-1] if before else 0
        cut = path.stat().st_size - size
        with path.open("r+b") as file:
            file.truncate(size)
        self._sizes.clear()
        return cut


def play(ground: Ground, seconds: float) -> Result:
    """Roll it back again and again."""
    result, chance = Result(), dice(8)
    ground.start(*WORKERS)
    recoveries: list[float] = []
    cut = 0
    with Film(ground.redis.folder) as film, Load(ground) as load:
        load.scene.rule(*load.lines, answer_after=[0.05, 0.25])
        until(lambda: load.heard() > len(load.lines), "digits heard")
        end = time.monotonic() + seconds
        while not recoveries or time.monotonic() < end:
            time.sleep(LOST_S + chance.uniform(0.2, 1))
            ground.redis.kill()
            cut += film.cut(LOST_S)
            time.sleep(chance.uniform(0, 1))
            ground.redis.start()
            recoveries.append(works_again(load, wait_for_server(ground)))
        load.end()
        until(lambda: not ground.client.exists("dtmf:due"), "every surviving task has ended", 120)
    result.see("append-only file cut off", cut / 1000, "kB")
    judge_survivors(result, load.scene)
    see_recoveries(result, recoveries)
    see_producers(result, load)
    see_workers(result, ground)
    return result


def judge_survivors(result: Result, scene: Scene) -> None:
    """Nothing doubled, nothing swapped, no record says what is not true; a task may be forgotten, but not half."""
    records = scene.records()
    tasks = [
        Enqueued(
            task_id, line.channel_id, keys, at, records[task_id].deadline / 1000 if task_id in records else at + 600
        )
        for task_id, line, keys, at in scene.tasks
    ]
    verdict = judge(tasks, records, scene.heard(), scene.ground.send_dtmf.door.vault)
    forgotten = {f"task {task.id}: no record" for task in tasks if task.id not in records}
    verdict.lost = [fault for fault in verdict.lost if fault not in forgotten]
    result.take(verdict)
    result.see("tasks forgotten", len(forgotten))
    with scene.ground.client.pipeline(transaction=False) as pipe:
        for task in tasks:
            pipe.exists(f"dtmf:t:{task.id}")
        stuck = sum(pipe.execute())
    result.must(not stuck, f"{stuck} tasks are neither waiting nor on record")
