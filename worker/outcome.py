"""From a record to what a producer sees: a plain outcome, or the typed error that says why there is none."""

from worker.ccc import errors as api
from worker.errors import DtmfError, LineBroken, TaskCancelled, TaskExpired, TaskUnknown
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
