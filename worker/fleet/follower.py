"""Writes Celery's results and events from the stream of records: for producers that wait on an AsyncResult, and Flower.

A consumer group shares the records among the workers; each is written at least once. A record that a dead worker
had taken is taken over by another. The run itself never writes results: it must not wait for them.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from celery import states
from pydantic import ValidationError
from redis import Redis
from redis.exceptions import ResponseError

from worker.clock import clock
from worker.errors import TaskCancelled
from worker.fleet.loop import Loop
from worker.monitoring.logs import Event
from worker.monitoring.reports import report_record
from worker.outcome import error_of
from worker.record import Record

log = logging.getLogger(__name__)

STREAM = "dtmf:records"
GROUP = "results"
_MOST_AT_ONCE = 200
_BLOCK_MS = 1000
_ORPHANED_AFTER_MS = 10_000
_FORGOTTEN_AFTER_MS = 3_600_000

Entries = Iterable[tuple[str, dict[str, str] | None]]


class ResultStore(Protocol):
    """Celery's result backend, as far as it is needed."""

    def store_result(self, task_id: str, result: Any, state: str) -> Any:
        """Store a result or an exception under a task's id, and wake who waits for it."""


class Follower:
    """One a worker."""

    def __init__(
        self, client: "Redis", store: ResultStore, tell: Callable[[Sequence[Record]], None], name: str
    ) -> None:
        """Follow with a client whose calls may take longer than a second.

        Args:
            client: of the server.
            store: where results go.
            tell: sends the events of records.
            name: of this worker, as a consumer.
        """
        self._client = client
        self._store = store
        self._tell = tell
        self._name = name
        self._looked_for_orphans = 0.0
        self._cursor = "0-0"
        # Whether records may have been taken under this name and not written: after a fault, and at the start.
        self._unsure = True
        self._loop = Loop("follower", self.follow, 0)
        self.start, self.stop = self._loop.start, self._loop.stop

    def follow(self) -> None:
        """Write the results and events of what is new, or wait a second for something new."""
        try:
            if clock() > self._looked_for_orphans + _ORPHANED_AFTER_MS / 2000:
                self._looked_for_orphans = clock()
                self._take_over()
            self._read()
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            # A new server, or one that came back without its last writes.
            self._make_group()

    def _read(self) -> None:
        own_again, self._unsure = self._unsure, True
        answer = self._client.xreadgroup(
            GROUP,
            self._name,
            {STREAM: "0" if own_again else ">"},
            count=_MOST_AT_ONCE,
            block=None if own_again else _BLOCK_MS,
        )
        batches = [list(entries) for entries in _streams(answer)]
        for entries in batches:
            self._write(entries)
        self._unsure = own_again and any(batches)

    def _make_group(self) -> None:
        try:
            self._client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            # Another worker was quicker.
            if not str(error).startswith("BUSYGROUP"):
                raise

    def leave(self) -> None:
        """Take this worker's name out of the group, if nothing is left under it."""
        for consumer in self._client.xinfo_consumers(STREAM, GROUP):
            mine = consumer["name"] == self._name
            if consumer["pending"] == 0 and (mine or consumer["idle"] > _FORGOTTEN_AFTER_MS):
                self._client.xgroup_delconsumer(STREAM, GROUP, consumer["name"])

    def _take_over(self) -> None:
        self._cursor, entries, *_ = self._client.xautoclaim(
            STREAM,
            GROUP,
            self._name,
            min_idle_time=_ORPHANED_AFTER_MS,
            start_id=self._cursor,
            count=_MOST_AT_ONCE,
        )
        self._write(entries)

    def _write(self, entries: Entries) -> None:
        written = []
        records = []
        for entry, fields in entries:
            record = _read(fields) if fields else None
            if record:
                self._write_one(record)
                records.append(record)
            written.append(entry)
        self._tell(records)
        if written:
            self._client.xack(STREAM, GROUP, *written)

    def _write_one(self, record: Record) -> None:
        error_or_none = error_of(record)
        if error_or_none is None:
            self._store.store_result(record.id, record.outcome(), states.SUCCESS)
        elif isinstance(error_or_none, TaskCancelled):
            self._store.store_result(record.id, error_or_none, states.REVOKED)
        else:
            self._store.store_result(record.id, error_or_none, states.FAILURE)
        report_record(record)


def _read(fields: dict[str, str]) -> Record | None:
    try:
        return Record.model_validate_json(fields["record"])
    except (KeyError, ValidationError) as error:
        log.error(Event("record.unreadable", error=type(error).__name__))
        return None


def _streams(answer: Any) -> list[Entries]:
    """The entries of each stream in an answer of XREADGROUP, under RESP2 (pairs) and RESP3 (a map of lists)."""
    if not answer:
        return []
    if isinstance(answer, dict):
        return [entries for batches in answer.values() for entries in batches]
    return [entries for _, entries in answer]
