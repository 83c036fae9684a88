"""Writes Celery's results and events, from records and from what the intake refused.

Results are for producers that wait on an AsyncResult, events for monitors such as Flower.

The run itself never writes results: it must not wait for them.
"""

import json
import logging
from collections.abc import Iterable
from typing import Any, Protocol

from kombu.exceptions import OperationalError
from pydantic import ValidationError

from worker.channel.server import OUTAGE
from worker.errors import DtmfError
from worker.fleet.events import Events
from worker.monitoring.logs import Event
from worker.monitoring.reports import report_record
from worker.outcome import error_of, refused
from worker.record import Record
from worker.vault import Vault

log = logging.getLogger(__name__)

RECORDS = "dtmf:records"
REFUSALS = "dtmf:refusals"


class Settle(Protocol):
    """Writes a result of Celery's, and publishes what was to follow it; worker.fleet.callbacks."""

    def __call__(self, task_id: str, end: dict[str, Any] | DtmfError, callbacks: str | None) -> None:
        """End a task: its outcome or error, and its callbacks."""


class Results:
    """What becomes of the entries of either stream. Written twice, a result is the same."""

    def __init__(self, settle: Settle, events: Events, vault: Vault) -> None:
        """Write results, tell of them by these events; vault: for the callbacks that stand encrypted in records."""
        self._settle = settle
        self._events = events
        self._vault = vault

    def of_records(self, entries: Iterable[dict[str, str]]) -> None:
        """Write the results of tasks that have ended."""
        found = [(record, fields) for fields in entries if (record := _read(fields))]
        for record, fields in found:
            self._end(record, fields)
            report_record(record)
        # After the results: who sees in Flower that a task has ended finds its result.
        self._events.tell([record for record, _ in found])

    def _end(self, record: Record, fields: dict[str, str]) -> None:
        end: dict[str, Any] | DtmfError = error_of(record) or record.outcome()
        sealed = fields.get("callbacks")
        try:
            self._settle(record.id, end, self._vault.decrypt(sealed, record.id) if sealed else None)
        except (*OUTAGE, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - what a producer wants called may fail in any way
            # Its text may hold anything of the producer's. The task's own result is written all the same.
            log.error(Event("callback.failed", task=record.id, error=type(error).__name__))
            self._settle(record.id, end, None)

    def of_refusals(self, entries: Iterable[dict[str, str]]) -> None:
        """Write the results of foreign producers' tasks that were not enqueued."""
        for fields in entries:
            self.refuse(fields["id"], refused(json.loads(fields["refusal"])), None)

    def refuse(self, task_id: str, error: DtmfError, callbacks: str | None) -> None:
        """Write the result of a task that was not enqueued while no producer stood at the door."""
        log.warning(Event("task.refused", task=task_id, error=type(error).__name__, reason=str(error)))
        self._settle(task_id, error, callbacks)
        self._events.refuse({task_id: error})


def _read(fields: dict[str, str]) -> Record | None:
    try:
        return Record.model_validate_json(fields["record"])
    except (KeyError, ValidationError) as error:
        log.error(Event("record.unreadable", error=type(error).__name__))
        return None
