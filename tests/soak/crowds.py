"""Many channels with one waiting task each beside a few with a hundred: nobody starves, and Redis is not filled."""

import time

from tests.fleet.harness import Ground, Line, Scene, dice, until
from tests.soak.result import Result, percentile
from worker.record import State

NAME = "a crowd of channels"
WORKERS = ("one", "two")
SLOTS = 96
SETTINGS: dict[str, object] = {"DTMF_CONCURRENCY": SLOTS // len(WORKERS)}
MANY, FEW, DEPTH = 20_000, 200, 100
# What a machine of two cores enqueues and sends a second, the simulator beside it, with some to spare.
TASKS_PER_S = 300
EXPIRES_S = 3600.0
ANSWER_S = 0.02


def play(ground: Ground, seconds: float) -> Result:
    """The whole crowd if the time allows it, else a smaller one of the same shape."""
    result = Result()
    share = min(1.0, max(0.01, seconds * TASKS_PER_S / (MANY + FEW * DEPTH)))
    many = [Line.new() for _ in range(round(MANY * share))]
    few = [Line.new() for _ in range(max(2, round(FEW * share)))]
    scene = Scene(ground)
    scene.control.set_scene({"rules": [{"answer_after": ANSWER_S}]})
    empty = _used_memory(ground)
    _enqueue(scene, many, few, max(10, round(DEPTH * min(1.0, share * 10))))
    result.see("channels", len(many) + len(few))
    result.see("tasks that wait", len(scene.tasks))
    result.see("memory of Redis per waiting task", (_used_memory(ground) - empty) / len(scene.tasks), "B", at_most=1500)
    began = time.time()
    ground.start(*WORKERS)
    until(lambda: not ground.client.exists("dtmf:due"), "everything sent", max(120.0, 4 * seconds))
    result.take(scene.verdict(complete=True, timeout=120))
    scene.control.set_scene()
    _see_waits(result, scene, many, few, began)
    states = scene.states() - {State.SENT, State.PRESUMED}
    result.must(not states, f"tasks ended as {sorted(states)}")
    result.broken += ground.faults()
    return result


def _used_memory(ground: Ground) -> int:
    used: int = ground.client.info("memory")["used_memory"]
    return used


def _enqueue(scene: Scene, many: list[Line], few: list[Line], depth: int) -> None:
    """While no worker runs; the deep queues among the others, as they come."""
    order = many + few * depth
    dice(12).shuffle(order)
    for line in order:
        scene.send(line, "5", expires_in=EXPIRES_S)


def _see_waits(result: Result, scene: Scene, many: list[Line], few: list[Line], began: float) -> None:
    """How long channels waited for their first digit, and the deep ones between two, since the workers came."""
    crowd, deep = {line.channel_id for line in many}, {line.channel_id for line in few}
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    gaps = []
    for event in scene.heard():
        channel, at = event["channel_id"], float(event["executed_at"])
        first.setdefault(channel, at - began)
        if channel in last:
            gaps.append(at - last[channel])
        last[channel] = at
    whole = max(last.values()) - began
    result.see("until all was sent", whole, "s")
    result.see("digits a second", len(scene.tasks) / whole)
    for name, channels in (("one task", crowd), ("many", deep)):
        waits = [wait for channel, wait in first.items() if channel in channels]
        result.see(f"channels with {name}: wait for the first digit, p50", percentile(waits, 50), "s")
        result.see(f"channels with {name}: wait for the first digit, longest", max(waits), "s")
    result.see("channels with many: longest gap between two digits", max(gaps, default=0.0), "s")
    # In what order the channels came, and in what order they were served.
    came = {channel: place for place, channel in enumerate(dict.fromkeys(task[1].channel_id for task in scene.tasks))}
    overtaken = max(place - came[channel] for place, channel in enumerate(first)) - SLOTS
    result.see("most of the crowd that overtook a channel", max(0.0, 100 * overtaken / len(came)), "%", at_most=5)
