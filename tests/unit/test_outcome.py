"""From a record to what a producer sees, also in another process, through Celery's JSON."""

import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from celery.backends.base import Backend

from worker.ccc.errors import ApiError, Gone, Refused, Rejected
from worker.errors import DtmfError, LineBroken, TaskCancelled, TaskError, TaskExpired, TaskUnknown
from worker.outcome import error_of
from worker.record import Record

DIGITS: list[dict[str, Any]] = [
    {"index": 1, "outcome": "sent", "attempts": 1, "code": "OK", "http_status": 200, "request_id": "req-1"},
    {"index": 2, "outcome": "failed", "attempts": 1, "code": "Bad", "http_status": 404, "request_id": "req-2"},
    {"index": 3, "outcome": "not_sent", "attempts": 0},
]


def record(state: str, **fields: Any) -> Record:
    base = {"id": "task-1", "ch": "0" * 32, "digits": DIGITS, "enqueued_at": 1, "ended_at": 2, "deadline": 3}
    return Record.model_validate({**base, "state": state, **fields})


FAILED: dict[str, tuple[type[ApiError], Record]] = {
    "Gone": (Gone, record("failed", error="Gone", code="NotExists.JobId")),
    "Rejected": (Rejected, record("failed", error="Rejected", code="InvalidParameter")),
}
ENDED: dict[str, tuple[type[TaskError], Record]] = {
    "expired": (TaskExpired, record("expired", error="TaskExpired")),
    "unknown": (TaskUnknown, record("unknown", error="TaskUnknown", code="InternalError")),
    "unanswered": (TaskUnknown, record("unknown", error="TaskUnknown")),
    "cancelled": (TaskCancelled, record("cancelled", error="TaskCancelled")),
    "broken": (LineBroken, record("cancelled", error="LineBroken", code="NotExists.JobId", broken_by="task-0")),
}
ALL: dict[str, tuple[type[DtmfError], Record]] = {**FAILED, **ENDED}


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    """Celery's own translation of exceptions, as the workers' result backend uses it."""
    with Celery("test", set_as_current=False) as app:
        yield Backend(app, serializer="json")


def through_celery(backend: Backend, error: DtmfError) -> Any:
    stored: Any = json.loads(json.dumps(backend.prepare_exception(error)))
    after: Any = backend.exception_to_python(stored)
    return after


def raised(of: Record) -> DtmfError:
    error = error_of(of)
    assert error is not None
    return error


@pytest.mark.parametrize("state", ["sent", "presumed"])
def test_sent_and_presumed_are_no_error(state: str) -> None:
    assert error_of(record(state)) is None


@pytest.mark.parametrize("name", ALL)
def test_each_other_end_raises_its_own_error(name: str) -> None:
    cls, of = ALL[name]
    assert type(raised(of)) is cls
    assert "task-1" in str(raised(of))


def test_a_failure_names_the_digit_the_code_and_the_request() -> None:
    error = raised(FAILED["Gone"][1])
    assert isinstance(error, Gone)
    assert str(error) == "task task-1 failed at digit 2 of 3: Gone (NotExists.JobId, HTTP 404, request req-2)"
    assert (error.code, error.http_status, error.request_id) == ("NotExists.JobId", 404, "req-2")


def test_a_broken_line_names_the_task_that_broke_it_and_why() -> None:
    text = str(raised(ENDED["broken"][1]))
    assert "task-0 ahead of it broke the line (NotExists.JobId)" in text


def test_unknown_says_what_the_api_said_or_that_it_said_nothing() -> None:
    assert "(InternalError)" in str(raised(ENDED["unknown"][1]))
    assert "(no answer from the API)" in str(raised(ENDED["unanswered"][1]))


def test_one_except_clause_catches_a_cancellation_of_either_kind() -> None:
    assert issubclass(LineBroken, TaskCancelled)
    assert all(issubclass(cls, DtmfError) for cls, _ in ALL.values())


def test_a_failure_of_a_class_that_this_release_does_not_know_is_still_an_error_of_the_api() -> None:
    assert type(raised(record("failed", error="Later", code="x"))) is Rejected
    assert type(raised(record("failed"))) is Rejected


@pytest.mark.parametrize("name", ALL)
def test_a_producer_in_another_process_gets_the_same_error_with_its_facts(name: str, backend: Backend) -> None:
    cls, of = ALL[name]
    before = raised(of)
    after = through_celery(backend, before)
    assert type(after) is cls
    assert str(after) == str(before)
    assert after.args == before.args
    assert vars(after) == vars(before)


@pytest.mark.parametrize("name", ENDED)
def test_the_record_comes_with_the_error(name: str, backend: Backend) -> None:
    _, of = ENDED[name]
    assert through_celery(backend, raised(of)).outcome == of.outcome()


@pytest.mark.parametrize("cls", [Gone, Rejected, Refused])
def test_what_the_api_said_comes_with_the_error(cls: type[ApiError], backend: Backend) -> None:
    after = through_celery(backend, cls("text", "Code", 404, "req", 1500))
    assert (after.code, after.http_status, after.request_id, after.retry_after_ms) == ("Code", 404, "req", 1500)


@pytest.mark.parametrize("name", ALL)
def test_the_errors_can_be_pickled_too(name: str) -> None:
    before = raised(ALL[name][1])
    after = pickle.loads(pickle.dumps(before))  # noqa: S301 - our own bytes
    assert (type(after), str(after), vars(after)) == (type(before), str(before), vars(before))
