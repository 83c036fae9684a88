"""The producer's side: send_dtmf, and what else a CRM may ask of a task or a channel.

    result = send_dtmf.delay(channel_id="…", job_id="…", dtmf="1234#")
    outcome = result.get(timeout=60)      # or the typed error that says why there is none

It needs REDIS_URL and DTMF_SECRET_KEYS, and nothing of the API.
"""

import json
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn, cast

from celery import Task as CeleryTask
from celery.result import AsyncResult

# Celery's get() finds an error's class among the modules that are loaded: without this, except Gone catches nothing.
import worker.ccc.errors  # noqa: F401
from config.celery import SEND_QUEUE
from config.settings import Settings
from worker.callbacks import OPTIONS, callbacks_of
from worker.channel.queue import Purged
from worker.door import Door
from worker.errors import (
    DtmfError,
    InvalidTask,
    NotAccepted,
    UnsupportedOption,
)
from worker.record import Record, State
from worker.task import Task, check_channel_id, check_task_id, task_from
from worker.vault import channel_digest
from worker.wake import publish_wake

# Celery's classes are generic for a type checker alone.
if TYPE_CHECKING:
    _CeleryTask = CeleryTask[Any, Any]
    _Result = AsyncResult[Any]
else:
    _CeleryTask, _Result = CeleryTask, AsyncResult

_DAY_S = 86_400
_INSTEAD = {
    "priority": "a channel's tasks are sent in the order in which they were enqueued",
    "queue": "tasks wait in their channel's queue; leave it out",
    "retry": "a digit is retried until its deadline; set expires_in",
    "time_limit": "set expires_in",
    "soft_time_limit": "set expires_in",
    "serializer": "tasks are encrypted JSON; leave it out",
}
# What send_many takes beside the arguments of a task.
_PER_TASK = ("task_id", "expires", "countdown", "eta")
# What Celery itself gives along with the tasks of a group, and what means nothing here.
_PASSED_OVER = {"add_to_parent", "connection", "producer", "reply_to"}


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


class SendDtmf(_CeleryTask):
    """The task `dtmf.send`: to a producer a Celery task, whose digits are sent in order, once and in time."""

    typing = False
    # In a worker, where a chain or a link enqueues, nobody stands at the door: the refusal is the task's result.
    on_refusal: Callable[[str, DtmfError, str | None], None] | None = None

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
        **options: Any,
    ) -> _Result:
        """Enqueue a task.

        Args:
            args: none; a task's arguments are named. The outcome that a chain hands on is passed over.
            kwargs: channel_id, job_id, dtmf and the options that worker.task.check_task describes.
            task_id: an id of the producer's; enqueued twice, it is one task.
            options: of Celery's. expires: with deadline and expires_in the earliest counts. countdown, eta: before
                that moment none of its digits is sent, nor anything behind it on its channel. link, link_error, and
                what chains, groups and chords bring along. Any other is refused.

        Returns:
            An AsyncResult. Its get() gives the outcome (the record, without personal data), or raises Gone,
            Rejected, TaskExpired, TaskUnknown, TaskCancelled or LineBroken.

        Raises:
            InvalidTask: an argument or option is wrong; nothing was enqueued.
            NotAccepted: ChannelQueueFull, SystemQueueFull, ChannelBroken or DeadlinePassed; nothing was enqueued.
            QueueUnavailable: Redis did not answer.
        """
        task_id = check_task_id(task_id) if task_id is not None else str(uuid.uuid4())
        callbacks = None
        try:
            callbacks = callbacks_of(options)
            ch = self.door.enqueue(task_id, self._task(args, kwargs, options), callbacks)
        except (InvalidTask, NotAccepted) as error:
            if self.on_refusal is None:
                raise
            self.on_refusal(task_id, error, callbacks)
            ch = None
        if ch:
            publish_wake(self.app, ch)
        return self.AsyncResult(task_id)

    def _task(self, args: object, kwargs: object, options: Mapping[str, Any]) -> Task:
        if args and not _is_handed_on(args):
            raise InvalidTask(
                "the arguments of dtmf.send are named: channel_id=…, job_id=…, dtmf=…; "
                "behind another task in a chain, use send_dtmf.si(…)"
            )
        given = {name: value for name, value in options.items() if value and name not in _PASSED_OVER}
        if given.get("queue") == SEND_QUEUE:
            del given["queue"]
        unsupported = sorted(given.keys() - OPTIONS - {"expires", "countdown", "eta"})
        if unsupported:
            option = next((option for option in unsupported if option in _INSTEAD), unsupported[0])
            raise UnsupportedOption(f"dtmf.send takes no option {option}; {_INSTEAD.get(option, 'leave it out')}")
        if not isinstance(kwargs or {}, Mapping):
            raise InvalidTask("the arguments of dtmf.send are a mapping of names to values")
        eta = options.get("eta")
        if options.get("countdown") is not None:
            eta = _after(options["countdown"])
        return task_from(
            dict(cast(Mapping[str, Any], kwargs or {})), self.door.settings, expires=options.get("expires"), eta=eta
        )

    def send_many(self, tasks: Iterable[Mapping[str, Any]]) -> list[_Result | DtmfError]:
        """Enqueue thousands of tasks in few round trips; of each channel all or none, in this order.

        Args:
            tasks: the arguments of each, as delay takes them; and task_id, expires, countdown and eta among them.

        Returns:
            For each task, in the same order, its AsyncResult; or the error for which none of its channel's tasks were
            accepted: NotAccepted, or QueueUnavailable, after which the same call with the same ids is safe.

        Raises:
            InvalidTask: an argument of a task is wrong, saying of which; nothing was enqueued.
        """
        door, new = self.door, []
        for number, task in enumerate(tasks, 1):
            try:
                options = {name: task[name] for name in _PER_TASK if name in task}
                kwargs = {name: value for name, value in task.items() if name not in _PER_TASK}
                task_id = check_task_id(options.pop("task_id", None) or str(uuid.uuid4()))
                new.append(self._task((), kwargs, options).to_new(task_id, door.vault))
            except (InvalidTask, AttributeError, TypeError) as error:
                reason = str(error) if isinstance(error, InvalidTask) else "it is no mapping of arguments to values"
            else:
                continue
            raise InvalidTask(f"task {number}: {reason}; nothing was enqueued")
        errors, publish = door.enqueue_many(new)
        for ch in publish:
            publish_wake(self.app, ch)
        return [errors.get(task.ch) or self.AsyncResult(task.id) for task in new]

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


def _is_handed_on(args: object) -> bool:
    """Whether these are no arguments of a producer's, but outcomes, which Celery hands to what follows a task."""
    found = args if isinstance(args, list | tuple) else [args]
    parts = [part for one in found for part in (one if isinstance(one, list) else [one])]
    return all(isinstance(part, Mapping) and {"id", "state", "digits"} <= part.keys() for part in parts)


def _after(countdown: object) -> datetime:
    if isinstance(countdown, bool) or not isinstance(countdown, int | float) or not 0 <= countdown <= _DAY_S:
        raise InvalidTask("countdown must be 0 to 86400 seconds")
    return datetime.now(UTC) + timedelta(seconds=countdown)
