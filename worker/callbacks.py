"""What a producer wants done once a task has ended: Celery's links, chains and chords, in the form of its requests.

They are kept with the task, encrypted, and carried out by the follower in the workers. Celery's message for a
callback is sent to the queue that the producer's application would have used, so each is told its queue here.
"""

from collections.abc import Mapping
from typing import Any

from celery.canvas import Signature
from kombu import Queue
from kombu.exceptions import EncodeError
from kombu.utils.json import dumps

from config.celery import WAKE_QUEUE
from worker.errors import InvalidTask
from worker.task import SEND_TASK

# Options of apply_async, and what Celery's requests call them.
_NAMES = {
    "link": "callbacks",
    "link_error": "errbacks",
    "chain": "chain",
    "chord": "chord",
    "group_id": "group",
    "group_index": "group_index",
    "root_id": "root_id",
    "parent_id": "parent_id",
}
_LISTS = ("link", "link_error", "chain")
# These alone ask for something; the others only say where a task belongs.
_WANTED = {"link", "link_error", "chain", "chord"}
_SMALL_ENOUGH = 64 * 1024
OPTIONS = frozenset(_NAMES)


def callbacks_of(options: Mapping[str, Any]) -> str | None:
    """The callbacks among options of apply_async as JSON, which may hold personal data; None if there are none.

    Raises:
        InvalidTask: a callback that is no signature, that names no queue, or that cannot be written as JSON.
    """
    given = {name: value for name, value in options.items() if name in _NAMES and value is not None}
    if not any(given.get(name) for name in _WANTED):
        return None
    request = {_NAMES[name]: _as_list(value) if name in _LISTS else value for name, value in given.items()}
    callbacks = [one for name in _WANTED for one in _as_list(given.get(name))]
    # A chain that a worker goes on with holds plain mappings.
    if not all(isinstance(one, Mapping) and isinstance(one.get("task"), str) for one in callbacks):
        raise InvalidTask("link, link_error, chain and chord take signatures: task.s(…) or task.si(…)")
    routed = _routed(request)
    try:
        text: str = dumps(routed)
    except (EncodeError, TypeError, ValueError):
        text = ""
    if not text:
        raise InvalidTask("the arguments of a callback cannot be written as JSON")
    if len(text) > _SMALL_ENOUGH:
        raise InvalidTask(f"the callbacks of a task must have less than {_SMALL_ENOUGH} characters as JSON")
    return text


def _as_list(value: Any) -> list[Any]:
    """Celery takes one callback as well as several."""
    return list(value) if isinstance(value, list | tuple) else [value] if value else []


def _routed(found: Any) -> Any:
    """A tree of signatures, in which every callback has the queue that its own application would send it to."""
    if isinstance(found, list | tuple):
        return [_routed(part) for part in found]
    if not isinstance(found, Mapping):
        return found
    plain = {name: _routed(part) for name, part in found.items()}
    if isinstance(found, Signature) and not found.get("subtask_type") and found["task"] != SEND_TASK:
        plain["options"] = {**plain["options"], "queue": plain["options"].get("queue") or _queue_of(found)}
    return plain


def _queue_of(callback: Any) -> str:
    app = callback.app
    queue = app.amqp.router.route({}, callback.task, callback.args, callback.kwargs)["queue"]
    name = queue.name if isinstance(queue, Queue) else str(queue)
    if name == WAKE_QUEUE:
        # Its application is not known here, and no worker of ours has such a task.
        raise InvalidTask(f"the callback {callback.task} names no queue; say .set(queue=…), that of its own workers")
    return name
