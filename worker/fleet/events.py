"""Tells Celery's monitors (Flower, `celery events`) what became of tasks.

They know `dtmf.send` by events alone. No Celery message of that task exists, so a worker's own events would say
nothing of it; these are made from records, with the record's times and the worker that ended the task.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from celery.events.event import get_exchange
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError

from worker.errors import TaskCancelled
from worker.outcome import error_of
from worker.producer import SEND_TASK
from worker.record import Record

Event = dict[str, Any]


class Events:
    """One a worker."""

    def __init__(self, app: Any, worker: str, instance_id: str) -> None:
        """worker: the name under which tasks are shown that no worker ended; instance_id: of tasks that name none."""
        self._app = app
        self._worker = worker
        self._instance_id = instance_id

    def tell(self, records: Sequence[Record]) -> None:
        """Publish the events of records, all in one call to Redis. A record told twice changes nothing.

        Raises:
            redis.exceptions.ConnectionError: Redis did not answer; the records may be told again.
        """
        events = [event for record in records for event in self._events(record)]
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
        received = self._received(record)
        kind, facts = _ending(record)
        if record.started_at or kind == "task-revoked":
            yield self._event("task-received", record.enqueued_at, **about, **received)
        else:
            # Flower's gauge of tasks at hand falls when a task starts or is revoked; one that expired in its queue
            # would stay in it for ever.
            facts |= {**received, "received": record.enqueued_at / 1000}
        if record.started_at:
            yield self._event("task-started", record.started_at, **about)
            facts["runtime"] = (record.ended_at - record.started_at) / 1000
        yield self._event(kind, record.ended_at, **about, **facts)

    def _event(self, kind: str, at_ms: int, **fields: Any) -> Event:
        return {"type": kind, "timestamp": at_ms / 1000, "clock": self._app.clock.forward(), **fields}

    def _received(self, record: Record) -> Event:
        arguments = {
            "instance_id": record.instance_id or self._instance_id,
            "channel": record.ch,
            "digits": len(record.digits),
        }
        return {
            "name": SEND_TASK,
            "args": "()",
            "kwargs": repr(arguments),
            "retries": 0,
            "expires": datetime.fromtimestamp(record.deadline / 1000, UTC).isoformat(timespec="milliseconds"),
        }


def _ending(record: Record) -> tuple[str, Event]:
    """The last event of a task, under the state that its AsyncResult has, and what it says."""
    error = error_of(record)
    if error is None:
        return "task-succeeded", {"result": repr(f"{record.state}: {len(record.digits)} digits")}
    text = f"{type(error).__name__}({str(error)!r})"
    if isinstance(error, TaskCancelled):
        return "task-revoked", {"exception": text, "terminated": False, "signum": None, "expired": False}
    return "task-failed", {"exception": text}
