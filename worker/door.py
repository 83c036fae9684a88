"""The door: how tasks come into the channel queues from a producer's process, one by one or many at once."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, TypeVar

from redis.exceptions import OutOfMemoryError, RedisError

from config.settings import Settings
from worker.channel.queue import ChannelQueue, NewTask
from worker.channel.server import connect, explain, may_pass
from worker.errors import DtmfError, QueueUnavailable, SystemQueueFull
from worker.limits import limits_of
from worker.monitoring.logs import Event
from worker.outcome import refused
from worker.task import Task
from worker.vault import Vault

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_PATIENCE_S = 5.0
_PAUSE_S = 0.2
_TASKS_AT_ONCE = 500
# Publishing costs more than enqueueing: of many channels it is left to the sweepers of the fleet.
_PUBLISHED_AT_ONCE = 20
_FULL = "the Redis server's memory is full; nothing was enqueued"


class Door:
    """The way in for tasks: what a producer's process keeps between two calls. Safe for threads and after a fork."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is opened before the first call."""
        self.settings = settings
        self.vault = Vault(settings.secret_keys)

    @cached_property
    def queue(self) -> ChannelQueue:
        """The channel queues."""
        settings = self.settings
        client = connect(
            settings.REDIS_URL.get_secret_value(),
            timeout=settings.redis_timeout,
            **settings.redis_tls,
        )
        return ChannelQueue(client, limits_of(settings))

    def enqueue(self, task_id: str, task: Task, callbacks: str | None = None) -> str | None:
        """Enqueue a task; the same id a second time changes nothing.

        Args:
            task_id: the task's id.
            task: the task.
            callbacks: what worker.callbacks.callbacks_of gave.

        Returns:
            The digest of the channel if a message must be published for it, else None.

        Raises:
            NotAccepted: saying why; nothing was enqueued.
            QueueUnavailable: Redis did not answer; the task may have been accepted.
        """
        new = task.to_new(task_id, self.vault, callbacks)
        ch = new.ch
        answer, repeated = self._insist(lambda: self.queue.enqueue(new), f"task {new.id}")
        if answer[0] in {"QUEUED", "PUBLISH", "KNOWN"}:
            log.info(Event("task.enqueued", task=task_id, ch=ch, digits=new.n, answer=answer[0]))
        match answer:
            case ["QUEUED"]:
                return None
            case ["PUBLISH"]:
                return ch
            case ["KNOWN", *_]:
                # Of a repeated call the first may have been the one that was to publish.
                return ch if repeated else None
            case _:
                raise refused(answer)

    def enqueue_many(self, tasks: Sequence[NewTask]) -> tuple[dict[str, DtmfError], list[str]]:
        """Enqueue tasks of many channels in few round trips; those of a channel all or none, in this order.

        Returns:
            For each channel whose tasks were not accepted, the error that says why: a NotAccepted, or QueueUnavailable
            if they may have been. And the channels for which a message must be published.
        """
        channels: dict[str, list[NewTask]] = {}
        for task in tasks:
            channels.setdefault(task.ch, []).append(task)
        errors: dict[str, DtmfError] = {}
        publish: list[str] = []
        down: QueueUnavailable | None = None
        for number, batch in enumerate(_batches(list(channels.values()))):
            try:
                answers = [down] * len(batch) if down else self._enqueue_batch(batch, publish=number == 0)
            except QueueUnavailable as error:
                # The others would each wait as long, for nothing.
                down = error
                answers = [down] * len(batch)
            for (first, *_), answer in zip(batch, answers, strict=True):
                if isinstance(answer, DtmfError):
                    errors[first.ch] = answer
                elif answer[0] == "PUBLISH":
                    publish.append(first.ch)
        log.info(Event("tasks.enqueued", tasks=len(tasks), channels=len(channels), refused=len(errors)))
        return errors, publish

    def _enqueue_batch(self, batch: Sequence[Sequence[NewTask]], *, publish: bool) -> list[Any]:
        def call() -> list[Any]:
            answers = self.queue.enqueue_many([(tasks, publish) for tasks in batch])
            for answer in answers:
                if isinstance(answer, RedisError) and may_pass(answer):
                    raise answer
            return answers

        answers, _ = self._insist(call, "some of the tasks")
        return [_accepted_or_error(answer) for answer in answers]

    def _insist(self, call: Callable[[], _T], what: str) -> tuple[_T, bool]:
        """The answer to a call that may safely be made twice, and whether it was."""
        began, repeated, full = time.monotonic(), False, False
        while True:
            try:
                return call(), repeated
            except RedisError as error:
                why = explain(error)
                # After a lost answer the task may be in already, although the server has no room for it now.
                full = isinstance(error, OutOfMemoryError) and not repeated
                if not may_pass(error) or time.monotonic() > began + _PATIENCE_S:
                    break
            repeated = True
            time.sleep(_PAUSE_S)
        # Raised here and not above, so that it chains no error of redis-py's, whose text may hold the URL.
        if full:
            raise SystemQueueFull(_FULL)
        raise QueueUnavailable(
            f"{why}; {what} may or may not have been accepted. "
            "Enqueue it again with the same task_id: it stays one task"
        )

    def ask(self, call: Callable[[ChannelQueue], _T]) -> _T:
        """Ask something of the queue that may be asked twice.

        Raises:
            QueueUnavailable: Redis did not answer; what was asked may have been done.
        """
        try:
            return call(self.queue)
        except RedisError as error:
            why = explain(error) + ("; it may be asked again" if may_pass(error) else "")
        raise QueueUnavailable(why)


def _accepted_or_error(answer: Any) -> Any:
    """An answer of enqueue.lua that accepts, or the error that it or redis-py's means."""
    if isinstance(answer, OutOfMemoryError):
        return SystemQueueFull(_FULL)
    if isinstance(answer, RedisError):
        return QueueUnavailable(explain(answer))
    return answer if answer[0] in {"QUEUED", "PUBLISH", "KNOWN"} else refused(answer)


def _batches(channels: Sequence[Sequence[NewTask]]) -> Iterator[list[Sequence[NewTask]]]:
    """Some channels at a time: a few at first, for which a message is published, then as many as go well together."""
    batch: list[Sequence[NewTask]] = []
    most, size = _PUBLISHED_AT_ONCE, 0
    for tasks in channels:
        if batch and (len(batch) == most or size + len(tasks) > _TASKS_AT_ONCE):
            yield batch
            batch, most, size = [], _TASKS_AT_ONCE, 0
        batch.append(tasks)
        size += len(tasks)
    if batch:
        yield batch
