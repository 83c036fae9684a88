"""From what the queue says of a task to what a producer sees: an outcome, or the typed error that says why not."""

from typing import Any

from worker.ccc import errors as api
from worker.errors import (
    ChannelBroken,
    ChannelQueueFull,
    DeadlinePassed,
    DtmfError,
    InvalidTask,
    LineBroken,
    SystemQueueFull,
    TaskCancelled,
    TaskExpired,
    TaskUnknown,
)
from worker.record import Record, State

_FAILURES = {cls.__name__: cls for cls in (api.Gone, api.Rejected)}


def error_of(record: Record) -> DtmfError | None:
    """The error with which the record's task ended; None if its digits were sent or presumed sent."""
    outcome = record.outcome()
    match record.state:
        case State.SENT | State.PRESUMED:
            return None
        case State.FAILED:
            return _failure(record)
        case State.EXPIRED:
            tried = next((digit.code for digit in record.digits if digit.outcome == "not_sent" and digit.code), None)
            code = record.code or tried
            why = f" (the API answered {code})" if code else ""
            return TaskExpired(f"task {record.id} was not sent in full before its deadline{why}", outcome)
        case State.CANCELLED if record.broken_by:
            text = f"task {record.id} was cancelled: task {record.broken_by} ahead of it broke the line"
            return LineBroken(f"{text} ({record.code})", outcome)
        case State.CANCELLED:
            return TaskCancelled(f"task {record.id} was cancelled by its producer", outcome)
        case _:
            text = f"whether every digit of task {record.id} was executed, nobody can say"
            return TaskUnknown(f"{text} ({record.code or 'no answer from the API'})", outcome)


def _failure(record: Record) -> DtmfError:
    digit = next((digit for digit in record.digits if digit.outcome == "failed"), record.digits[-1])
    cls = _FAILURES.get(record.error or "", api.Rejected)
    text = f"task {record.id} failed at digit {digit.index} of {len(record.digits)}"
    message = f"{text}: {record.error} ({record.code}, HTTP {digit.http_status}, request {digit.request_id})"
    return cls(message, record.code, digit.http_status, digit.request_id)


def refused(answer: list[Any]) -> DtmfError:
    """The error that says why a task was not enqueued; answer: of enqueue.lua, or a refusal of the intake."""
    match answer:
        case ["EXPIRED"]:
            return DeadlinePassed("the task's deadline has passed already; nothing was enqueued")
        case ["CHANNEL_FULL", n]:
            return ChannelQueueFull(f"{n} tasks wait on the channel, as many as DTMF_CHANNEL_LIMIT allows; try later")
        case ["SYSTEM_FULL", n]:
            return SystemQueueFull(f"{n} tasks wait in all, as many as DTMF_SYSTEM_LIMIT allows; try later")
        case ["BROKEN", task_id, code, left_ms]:
            return ChannelBroken(
                f"the channel's line was broken by task {task_id} ({code}): what follows would type the wrong number. "
                f"Acknowledge it with send_dtmf.resume(channel_id), wait {left_ms / 1000:.0f} s, or enqueue with "
                "on_failure='continue'"
            )
        case ["MALFORMED", problem]:
            return InvalidTask(str(problem))
        case _:
            return DtmfError("the queue gave no answer")
