"""Writes Celery's results, for producers that wait on an AsyncResult, from records and from what the intake refused.

The run itself never writes results: it must not wait for them.
"""

import json
import logging
from typing import Any, Protocol

from celery import states
from pydantic import ValidationError

from worker.errors import TaskCancelled
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
    """What becomes of an entry of either stream. Written twice, a result is the same."""

    def __init__(self, store: ResultStore) -> None:
        """Write to this store."""
        self._store = store

    def of_record(self, fields: dict[str, str]) -> None:
        """Write the result of a task that has ended."""
        try:
            record = Record.model_validate_json(fields["record"])
        except (KeyError, ValidationError) as error:
            log.error(Event("record.unreadable", error=type(error).__name__))
            return
        error_or_none = error_of(record)
        if error_or_none is None:
            self._store.store_result(record.id, record.outcome(), states.SUCCESS)
        elif isinstance(error_or_none, TaskCancelled):
            self._store.store_result(record.id, error_or_none, states.REVOKED)
        else:
            self._store.store_result(record.id, error_or_none, states.FAILURE)
        report_record(record)

    def of_refusal(self, fields: dict[str, str]) -> None:
        """Write the result of a foreign producer's task that was not enqueued."""
        error = refused(json.loads(fields["refusal"]))
        log.warning(Event("task.refused", task=fields["id"], error=type(error).__name__, reason=str(error)))
        self._store.store_result(fields["id"], error, states.FAILURE)
