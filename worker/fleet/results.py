"""Writes Celery's results and events, from records and from what the intake refused.

Results are for producers that wait on an AsyncResult, events for monitors such as Flower.

The run itself never writes results: it must not wait for them.
"""

import json
import logging
from collections.abc import Iterable
from typing import Any, Protocol

from celery import states
from pydantic import ValidationError

from worker.errors import TaskCancelled
from worker.fleet.events import Events
from worker.monitoring.logs import Event
from worker.monitoring.reports import report_record
from worker.outcome import error_of, refused
from worker.record import Record

log = logging.getLogger(__name__)

RECORDS = "dtmf:records"
REFUSALS = "dtmf:refusals"


class ResultStore(Protocol):
    """Celery's result backend, as far as it is needed."""

    def store_result(self, task_id: str, result: Any, state: str) -> Any:
        """Store a result or an exception under a task's id, and wake who waits for it."""


class Results:
    """What becomes of the entries of either stream. Written twice, a result is the same."""

    def __init__(self, store: ResultStore, events: Events) -> None:
        """Write to this store, and tell of it by these events."""
        self._store = store
        self._events = events

    def of_records(self, entries: Iterable[dict[str, str]]) -> None:
        """Write the results of tasks that have ended."""
        records = [record for record in map(_read, entries) if record]
        for record in records:
            error = error_of(record)
            if error is None:
                self._store.store_result(record.id, record.outcome(), states.SUCCESS)
            elif isinstance(error, TaskCancelled):
                self._store.store_result(record.id, error, states.REVOKED)
            else:
                self._store.store_result(record.id, error, states.FAILURE)
            report_record(record)
        # After the results: who sees in Flower that a task has ended finds its result.
        self._events.tell(records)

    def of_refusals(self, entries: Iterable[dict[str, str]]) -> None:
        """Write the results of foreign producers' tasks that were not enqueued."""
        errors = {fields["id"]: refused(json.loads(fields["refusal"])) for fields in entries}
        for task_id, error in errors.items():
            log.warning(Event("task.refused", task=task_id, error=type(error).__name__, reason=str(error)))
            self._store.store_result(task_id, error, states.FAILURE)
        self._events.refuse(errors)


def _read(fields: dict[str, str]) -> Record | None:
    try:
        return Record.model_validate_json(fields["record"])
    except (KeyError, ValidationError) as error:
        log.error(Event("record.unreadable", error=type(error).__name__))
        return None
