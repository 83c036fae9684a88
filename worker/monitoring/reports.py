"""What operators are told of, beyond a line at the place where it happens: the log says it, and Sentry where needed."""

import logging
from typing import Any

from redis.exceptions import RedisError

from worker.errors import DtmfError
from worker.monitoring import sentry
from worker.monitoring.logs import Event
from worker.record import Digit, Outcome, Record, State

log = logging.getLogger(__name__)


class TextLeftOut(Exception):
    """Stands for an exception whose text may hold a digit or a phone number."""


def report_record(record: Record) -> None:
    """Tell how a task ended. A failure that was not to be expected goes to Sentry; the end of a call is none."""
    facts: dict[str, Any] = {
        "task": record.id,
        "ch": record.ch,
        "state": str(record.state),
        "error": record.error,
        "code": record.code,
    }
    digit = _culprit(record)
    if digit:
        facts |= {"digit": digit.index, "http_status": digit.http_status, "request_id": digit.request_id}
    log.info(
        Event(
            "task.recorded",
            **facts,
            broken_by=record.broken_by,
            digits=len(record.digits),
            attempts=sum(digit.attempts for digit in record.digits),
            ms=record.ended_at - record.enqueued_at,
            worker=record.worker,
        )
    )
    if record.state is State.UNKNOWN or (record.state is State.FAILED and record.error != "Gone"):
        sentry.capture_failure(facts)


def report_refused(code: str | None, message: str) -> None:
    """Raise the fleet's alarm: the API refuses the account or this machine's clock, so that every request fails.

    message: what is wrong and what to do, as the error Refused says it. Sentry gets one event for a code, and further
    ones of the same code once a minute.
    """
    log.critical(Event("alarm.refused", code=code, reason=message))


def report_run_failure(ch: str, error: Exception) -> None:
    """Tell of an exception that ended a run and that nobody foresaw, without its text where that may hold anything."""
    safe = isinstance(error, DtmfError | RedisError)
    text = str(error) if safe else "its text is left out, since it may hold a digit or a phone number"
    shown = TextLeftOut(f"{type(error).__name__}: {text}")
    log.error(
        Event("run.failed", ch=ch, error=type(error).__name__), exc_info=(type(error), shown, error.__traceback__)
    )


def _culprit(record: Record) -> Digit | None:
    """The digit with which the task failed, or whose fate nobody knows."""
    bad = {Outcome.FAILED, Outcome.UNKNOWN}
    return next((digit for digit in record.digits if digit.outcome in bad), None)
