"""Tells Celery's monitors (Flower, `celery events`) what became of tasks.

They know `dtmf.send` by events alone. No Celery message of that task exists, so a worker's own events would say
nothing of it; these are made from records, with the record's times and the worker that ended the task.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from celery.events.event import get_exchange
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from worker.errors import DtmfError, TaskCancelled
from worker.fleet.loop import Loop
from worker.lease import AtWork
from worker.outcome import error_of
from worker.record import Record
from worker.task import SEND_TASK

Event = dict[str, Any]
_LONG_S = 1.0


class Events:
    """One a worker."""

    def __init__(self, app: Any, worker: str, instance_id: str) -> None:
        """worker: the name under which tasks are shown that no worker ended; instance_id: of tasks that name none."""
        self._app = app
        self._worker = worker
        self._instance_id = instance_id

    def tell(self, records: Iterable[Record]) -> None:
        """Publish the events of records, all in one call to Redis. A record told twice changes nothing.

        Raises:
            redis.exceptions.ConnectionError: Redis did not answer; the records may be told again.
        """
        self._publish([event for record in records for event in self._events(record)])

    def begin(self, tasks: Iterable[AtWork]) -> None:
        """Publish that tasks are being sent; of when they were received, their records will say better.

        Raises:
            redis.exceptions.ConnectionError: as tell.
        """
        events = []
        for task in tasks:
            about = {"uuid": task.id, "hostname": self._worker}
            seen = self._arguments(task.instance_id, task.ch, task.digits)
            events.append(self._event("task-received", task.since, **about, **seen))
            events.append(self._event("task-started", task.since, **about))
        self._publish(events)

    def refuse(self, errors: Mapping[str, DtmfError]) -> None:
        """Publish that tasks were not enqueued, by their ids, and why.

        Raises:
            redis.exceptions.ConnectionError: as tell.
        """
        now = time.time()
        about = {"name": SEND_TASK, "args": "()", "hostname": self._worker, "received": now}
        self._publish(
            [
                self._event("task-failed", now, uuid=id_, exception=_text(error), **about)
                for id_, error in errors.items()
            ]
        )

    def _publish(self, events: list[Event]) -> None:
        if not events:
            return
        try:
            with self._app.amqp.producer_pool.acquire(block=True) as producer:
                exchange = get_exchange(producer.connection, name=self._app.conf.event_exchange)
                producer.publish(
                    events,
                    exchange=exchange,
                    routing_key="task.multi",
                    declare=[exchange],
                    serializer=self._app.conf.event_serializer,
                    headers={"hostname": self._worker},
                    delivery_mode=1,
                    retry=False,
                )
        except (OperationalError, OSError) as error:
            raise RedisConnectionError(type(error).__name__) from None

    def _events(self, record: Record) -> Iterator[Event]:
        about = {"uuid": record.id, "hostname": record.worker or self._worker}
        seen = self._arguments(record.instance_id, record.ch, len(record.digits))
        seen["expires"] = datetime.fromtimestamp(record.deadline / 1000, UTC).isoformat(timespec="milliseconds")
        kind, facts = _ending(record)
        if record.started_at or kind == "task-revoked":
            yield self._event("task-received", record.enqueued_at / 1000, **about, **seen)
        else:
            # Flower's gauge of tasks at hand falls when a task starts or is revoked; one that expired in its queue
            # would stay in it for ever.
            facts |= {**seen, "received": record.enqueued_at / 1000}
        if record.started_at:
            yield self._event("task-started", record.started_at / 1000, **about)
            facts["runtime"] = (record.ended_at - record.started_at) / 1000
        yield self._event(kind, record.ended_at / 1000, **about, **facts)

    def _event(self, kind: str, at: float, **fields: Any) -> Event:
        return {"type": kind, "timestamp": at, "clock": self._app.clock.forward(), **fields}

    def _arguments(self, instance_id: str | None, ch: str, digits: int) -> Event:
        """What may be shown of a task's arguments."""
        shown = {"digits": digits, "channel": ch, "instance_id": instance_id or self._instance_id}
        return {"name": SEND_TASK, "args": "()", "kwargs": repr(shown), "retries": 0}


class Watcher:
    """Tells of the tasks that take long. Of one that is done within a second, its record's events say all."""

    def __init__(self, at_work: Callable[[], Iterable[AtWork]], begin: Callable[[list[AtWork]], None]) -> None:
        """at_work: asks which tasks are being sent; begin: tells of them."""
        self._at_work = at_work
        self._begin = begin
        self._known: set[AtWork] = set()
        self._loop = Loop("watcher", self.look, _LONG_S)
        self.start, self.stop = self._loop.start, self._loop.stop

    def look(self) -> None:
        """Tell of the tasks that have been at work since the last look, once each."""
        long = {task for task in self._at_work() if task.since < time.time() - _LONG_S}
        self._begin(list(long - self._known))
        self._known = long


def _ending(record: Record) -> tuple[str, Event]:
    """The last event of a task, under the state that its AsyncResult has, and what it says."""
    error = error_of(record)
    if error is None:
        return "task-succeeded", {"result": repr(f"{record.state}: {len(record.digits)} digits")}
    if isinstance(error, TaskCancelled):
        return "task-revoked", {"exception": _text(error), "terminated": False, "signum": None, "expired": False}
    return "task-failed", {"exception": _text(error)}


def _text(error: DtmfError) -> str:
    return f"{type(error).__name__}({str(error)!r})"
