"""A look at one channel, for people: what look.lua answers, as types. Times in ms."""

import json
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class RunSeen:
    """The run that holds the channel.

    Attributes:
        worker: name of its worker.
        for_ms: how long it has had the channel.
        lease_ms: until its lease is over; negative if it has been silent for longer.
        live: the lease lasts, and was given by the server as it runs now.
    """

    worker: str
    for_ms: int
    lease_ms: int
    live: bool


@dataclass(frozen=True, slots=True)
class MarkSeen:
    """The attempt that may be on its way.

    Attributes:
        task: the task's id.
        digit: index of the digit, from 1.
        attempt: number of the attempt, from 1.
        for_ms: since it was marked.
        doubt: an earlier copy may exist, because the run that marked it is not the one that has the channel now.
            Of a copy that the same run sent before, its worker alone knows; of a task in doubt, see TaskSeen.
        throttled: a copy was refused as not executed.
    """

    task: str
    digit: int
    attempt: int
    for_ms: int
    doubt: bool
    throttled: bool


@dataclass(frozen=True, slots=True)
class BreakSeen:
    """What broke the line.

    Attributes:
        task: the task that failed.
        code: with what.
        for_ms: how long ago.
        left_ms: until the channel takes new tasks by itself.
    """

    task: str
    code: str
    for_ms: int
    left_ms: int


@dataclass(frozen=True, slots=True)
class TaskSeen:
    """A task that waits.

    Attributes:
        id: the task's id.
        digits: number of its digits.
        settled: how many of them have an outcome.
        age_ms: since it was enqueued.
        left_ms: until its deadline; negative if that has passed.
        started: it has come to the head of its channel.
        go_on: it is sent even if one ahead of it fails.
        cancelled: it ends before its next digit.
        doubt: it is older than the server's present boot, so that digits may have been sent without a trace.
    """

    id: str
    digits: int
    settled: int
    age_ms: int
    left_ms: int
    started: bool
    go_on: bool
    cancelled: bool
    doubt: bool


@dataclass(frozen=True, slots=True)
class ChannelSeen:
    """A channel at one moment.

    Attributes:
        ch: its digest.
        run: the run that holds it, or None.
        mark: the attempt that may be on its way, or None.
        paused_ms: how long it has been paused; None if it is not.
        broken: what broke its line, or None.
        hold_ms: until a digit of unknown fate can no longer be executed; 0 for no hold.
        pause_ms: until the pause between two digits or attempts is over; 0 for none.
        due_ms: until the sweeper looks at it, negative if that is overdue; None if it never will.
        waiting: number of tasks that wait, the one in progress among them.
        tasks: the first of them, in order.
    """

    ch: str
    run: RunSeen | None
    mark: MarkSeen | None
    paused_ms: int | None
    broken: BreakSeen | None
    hold_ms: int
    pause_ms: int
    due_ms: int | None
    waiting: int
    tasks: list[TaskSeen]

    @classmethod
    def read(cls, ch: str, answer: str, break_ms: int) -> Self:
        """Read what look.lua answered; break_ms: how long a broken line refuses new tasks."""
        seen = json.loads(answer)
        now, boot = int(seen["now"]), str(seen["boot"])
        # An empty table of Lua's is an empty object, whatever it stands for.
        channel, tasks = seen["channel"] or {}, seen["tasks"] or []

        def left(name: str) -> int:
            until = _ms(channel.get(name, 0))
            return max(0, until - now)

        run = _run(channel, now, boot)
        due: float | None = seen.get("due")
        return cls(
            ch=ch,
            run=run,
            mark=_mark(channel, run, now),
            paused_ms=now - _ms(channel["paused"]) if "paused" in channel else None,
            broken=_break(channel, now, break_ms),
            hold_ms=left("hold_until"),
            pause_ms=left("not_before"),
            due_ms=None if due is None else _ms(due) - now,
            waiting=seen["waiting"],
            tasks=[_task(task, now, boot) for task in tasks],
        )


def _ms(value: Any) -> int:
    return int(float(value))


def _run(channel: dict[str, str], now: int, boot: str) -> RunSeen | None:
    if "token" not in channel:
        return None
    lease_ms = _ms(channel["lease_until"]) - now
    # A worker of an earlier version left no name.
    since = _ms(channel.get("since", now))
    return RunSeen(channel.get("worker", ""), now - since, lease_ms, lease_ms > 0 and channel["boot"] == boot)


def _mark(channel: dict[str, str], run: RunSeen | None, now: int) -> MarkSeen | None:
    if "task" not in channel:
        return None
    found = not (run and run.live) or _ms(channel["marked_at"]) < _ms(channel.get("since", 0))
    return MarkSeen(
        task=channel["task"],
        digit=int(channel["digit"]),
        attempt=int(channel["attempt"]),
        for_ms=now - _ms(channel["marked_at"]),
        doubt=found,
        throttled="throttled" in channel,
    )


def _break(channel: dict[str, str], now: int, break_ms: int) -> BreakSeen | None:
    if "broken" not in channel:
        return None
    for_ms = now - _ms(channel["broken_at"])
    if for_ms >= break_ms:
        return None
    return BreakSeen(channel["broken"], channel.get("broken_code", ""), for_ms, break_ms - for_ms)


def _task(task: dict[str, str], now: int, boot: str) -> TaskSeen:
    return TaskSeen(
        id=task["id"],
        digits=int(task["n"]),
        settled=int(task["at"]) - 1,
        age_ms=now - _ms(task["enqueued_at"]),
        left_ms=_ms(task["deadline"]) - now,
        started="started_at" in task,
        go_on=task["go_on"] == "1",
        cancelled="cancel" in task,
        doubt=task["boot"] != boot,
    )
