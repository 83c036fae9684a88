"""The producer's side: send_dtmf, and what else a CRM may ask of a task or a channel.

    result = send_dtmf.delay(channel_id="…", job_id="…", dtmf="1234#")
    outcome = result.get(timeout=60)      # or the typed error that says why there is none

It needs REDIS_URL and DTMF_SECRET_KEYS, and nothing of the API.
"""

import json
import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from celery import Task as CeleryTask
from celery.result import AsyncResult
from redis.exceptions import OutOfMemoryError, RedisError

# Celery's get() finds an error's class among the modules that are loaded: without this, except Gone catches nothing.
import worker.ccc.errors  # noqa: F401
from config.settings import Settings
from worker.channel.queue import ChannelQueue, NewTask, Purged
from worker.channel.server import connect, explain, may_pass
from worker.errors import (
    DtmfError,
    InvalidTask,
    QueueUnavailable,
    SystemQueueFull,
    UnsupportedOption,
)
from worker.limits import limits_of
from worker.monitoring.logs import Event
from worker.outcome import refused
from worker.record import Record, State
from worker.task import Task, check_channel_id, check_task_id, task_from
from worker.vault import Vault, channel_digest
from worker.wake import publish_wake

# Celery's classes are generic for a type checker alone.
if TYPE_CHECKING:
    _CeleryTask = CeleryTask[Any, Any]
    _Result = AsyncResult[Any]
else:
    _CeleryTask, _Result = CeleryTask, AsyncResult

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_PATIENCE_S = 5.0
_PAUSE_S = 0.2
_INSTEAD = {
    "countdown": "begin dtmf with pauses (w 0.5 s, W 1 s), or enqueue later",
    "eta": "begin dtmf with pauses (w 0.5 s, W 1 s), or enqueue later",
    "priority": "a channel's tasks are sent in the order in which they were enqueued",
    "link": "wait for the result with get(), or follow the stream dtmf:records",
    "link_error": "wait for the result with get(), or follow the stream dtmf:records",
    "chain": "enqueue the tasks one after another: a channel keeps their order",
    "chord": "wait for the results with get()",
    "group_id": "enqueue the tasks one after another: a channel keeps their order",
    "queue": "tasks wait in their channel's queue; leave it out",
    "retry": "a digit is retried until its deadline; set expires_in",
    "time_limit": "set expires_in",
    "soft_time_limit": "set expires_in",
    "serializer": "tasks are encrypted JSON; leave it out",
}


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """How a task stands.

    Attributes:
        id: the task's id.
        state: queued, sending or a final state.
        record: the record of a task that has ended, else None.
        digits: number of its digits.
        settled: how many of them have an outcome.
        ahead: tasks ahead of it on its channel; 0 once it has ended.
        left_ms: time to its deadline; 0 once it has ended.
        ch: digest of its channel.
    """

    id: str
    state: State
    record: Record | None
    digits: int
    settled: int
    ahead: int
    left_ms: int
    ch: str


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
            timeout=settings.DTMF_REDIS_TIMEOUT_MS / 1000,
            **settings.redis_tls,
        )
        return ChannelQueue(client, limits_of(settings))

    def enqueue(self, task_id: str, task: Task) -> str | None:
        """Enqueue a task; the same id a second time changes nothing.

        Returns:
            The digest of the channel if a message must be published for it, else None.

        Raises:
            NotAccepted: saying why; nothing was enqueued.
            QueueUnavailable: Redis did not answer; the task may have been accepted.
        """
        new = task.to_new(task_id, self.vault)
        ch = new.ch
        answer, repeated = self._insist(new)
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

    def _insist(self, new: NewTask) -> tuple[list[Any], bool]:
        began, repeated, full = time.monotonic(), False, False
        while True:
            try:
                return self.queue.enqueue(new), repeated
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
            raise SystemQueueFull("the Redis server's memory is full; nothing was enqueued")
        raise QueueUnavailable(
            f"{why}; task {new.id} may or may not have been accepted. "
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


class SendDtmf(_CeleryTask):
    """The task `dtmf.send`: to a producer a Celery task, whose digits are sent in order, once and in time."""

    typing = False

    @cached_property
    def door(self) -> Door:
        """The way in for tasks, under the environment's settings."""
        return Door(Settings.load(worker=False))

    def delay(self, *args: Any, **kwargs: Any) -> _Result:
        """Enqueue a task; apply_async with no options."""
        return self.apply_async(args, kwargs)

    def apply_async(  # type: ignore[override]  # fewer options than Celery's, on purpose
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        expires: Any = None,
        **options: Any,
    ) -> _Result:
        """Enqueue a task.

        Args:
            args: none; a task's arguments are named.
            kwargs: channel_id, job_id, dtmf and the options that worker.task.check_task describes.
            task_id: an id of the producer's; enqueued twice, it is one task.
            expires: Celery's option; with deadline and expires_in the earliest counts.
            options: any other option of Celery's is refused.

        Returns:
            An AsyncResult. Its get() gives the outcome (the record, without personal data), or raises Gone,
            Rejected, TaskExpired, TaskUnknown, TaskCancelled or LineBroken.

        Raises:
            InvalidTask: an argument or option is wrong; nothing was enqueued.
            NotAccepted: ChannelQueueFull, SystemQueueFull, ChannelBroken or DeadlinePassed; nothing was enqueued.
            QueueUnavailable: Redis did not answer.
        """
        if args:
            raise InvalidTask("the arguments of dtmf.send are named: channel_id=…, job_id=…, dtmf=…")
        given = [option for option, value in options.items() if value]
        if given:
            # A group or a chain brings options of Celery's own along; the one to name is the one that says it.
            option = next((option for option in given if option in _INSTEAD), given[0])
            instead = _INSTEAD.get(option, "leave it out")
            raise UnsupportedOption(f"dtmf.send takes no option {option}; {instead}")
        if not isinstance(kwargs or {}, Mapping):
            raise InvalidTask("the arguments of dtmf.send are a mapping of names to values")
        task = task_from(dict(kwargs or {}), self.door.settings, expires=expires)
        task_id = check_task_id(task_id) if task_id is not None else str(uuid.uuid4())
        ch = self.door.enqueue(task_id, task)
        if ch:
            publish_wake(self.app, ch)
        return self.AsyncResult(task_id)

    def apply(self, *_: Any, **__: Any) -> NoReturn:
        """Refused, as all of Celery's ways past the channel's order; map and chunks would show the digits to Redis."""
        raise UnsupportedOption("dtmf.send is enqueued with send_dtmf.delay(...) or .apply_async(...), once for a task")

    map = starmap = chunks = apply

    def status(self, task_id: str) -> TaskStatus | None:
        """How a task stands; None if the id is not known (any more)."""
        match self._status(task_id):
            case ["NONE"]:
                return None
            case ["RECORDED", record, *_]:
                ended = Record.model_validate_json(record)
                n = len(ended.digits)
                return TaskStatus(task_id, ended.state, ended, n, n, 0, 0, ended.ch)
            case [state, ch, n, settled, _at, _deadline, left_ms, ahead]:
                return TaskStatus(task_id, State(state), None, n, settled, ahead, left_ms, ch)
            case _:
                raise DtmfError("the queue gave no status")

    def _status(self, task_id: str) -> list[Any]:
        task_id = check_task_id(task_id)
        return self.door.ask(lambda queue: queue.status(task_id))

    def api_answer(self, task_id: str) -> dict[str, Any] | None:
        """The last CallContext and UserContext that the API returned for a task that has ended; personal data."""
        match self._status(task_id):
            case ["RECORDED", _, str(answer)] if answer:
                contexts: dict[str, Any] = json.loads(self.door.vault.decrypt(answer, task_id))
                return contexts
            case _:
                return None

    def cancel(self, task_id: str) -> str:
        """End a task. A digit that may be on its way cannot be recalled.

        Returns:
            DONE: it ended now. REQUESTED: it ends before its next digit. RECORDED: it had ended before. NONE: the
            id is not known.
        """
        task_id = check_task_id(task_id)
        return str(self.door.ask(lambda queue: queue.cancel(task_id))[0])

    def pause(self, channel_id: str) -> int:
        """Send nothing more on a channel until resume; deadlines go on. Answers how many tasks wait."""
        ch = channel_digest(check_channel_id(channel_id))
        return self.door.ask(lambda queue: queue.pause(ch))

    def resume(self, channel_id: str) -> None:
        """End a pause, and acknowledge a break, of a channel."""
        ch = channel_digest(check_channel_id(channel_id))
        if self.door.ask(lambda queue: queue.resume(ch)):
            publish_wake(self.app, ch)

    def purge(self, channel_id: str) -> Purged:
        """Cancel every task that waits on a channel; the one whose digit may be on its way before its next digit."""
        ch = channel_digest(check_channel_id(channel_id))
        return self.door.ask(lambda queue: queue.purge(ch))
