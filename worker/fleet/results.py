"""Writes Celery's results, for producers that wait on an AsyncResult, from records and from what the intake refused.

The run itself never writes results: it must not wait for them.
"""

import json
import logging
from typing import Any, Protocol

from kombu.exceptions import OperationalError
from pydantic import ValidationError

from worker.channel.server import OUTAGE
from worker.errors import DtmfError
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
    """What becomes of an entry of either stream. Written twice, a result is the same."""

    def __init__(self, settle: Settle, vault: Vault) -> None:
        """vault: for the callbacks that stand encrypted in records."""
        self._settle = settle
        self._vault = vault

    def of_record(self, fields: dict[str, str]) -> None:
        """Write the result of a task that has ended."""
        try:
            record = Record.model_validate_json(fields["record"])
        except (KeyError, ValidationError) as error:
            log.error(Event("record.unreadable", error=type(error).__name__))
            return
        end: dict[str, Any] | DtmfError = error_of(record) or record.outcome()
        try:
            self._settle(record.id, end, self._callbacks(record.id, fields))
        except (*OUTAGE, OperationalError):
            raise
        except Exception as error:  # noqa: BLE001 - what a producer wants called may fail in any way
            # Its text may hold anything of the producer's. The task's own result is written all the same.
            log.error(Event("callback.failed", task=record.id, error=type(error).__name__))
            self._settle(record.id, end, None)
        report_record(record)

    def _callbacks(self, task_id: str, fields: dict[str, str]) -> str | None:
        sealed = fields.get("callbacks")
        return self._vault.decrypt(sealed, task_id) if sealed else None

    def of_refusal(self, fields: dict[str, str]) -> None:
        """Write the result of a foreign producer's task that was not enqueued."""
        self.refuse(fields["id"], refused(json.loads(fields["refusal"])), None)

    def refuse(self, task_id: str, error: DtmfError, callbacks: str | None) -> None:
        """Write the result of a task that was not enqueued while no producer stood at the door."""
        log.warning(Event("task.refused", task=task_id, error=type(error).__name__, reason=str(error)))
        self._settle(task_id, error, callbacks)
