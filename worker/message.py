"""A Celery message as any producer writes it, read by hand and checked before it comes near a channel queue.

Celery's own consumer would end its worker on a malformed one. Read are message protocol 2 (Celery in Python,
celery-node) and 1 (gocelery, celery-php), bodies in base64 or plain; headers and options that mean nothing for key
presses are passed over. Source: Celery's documentation, "Message Protocol".
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from config.settings import Settings
from worker.errors import InvalidTask
from worker.task import SEND_TASK, Task, check_task_id, task_from

LARGEST_BYTES = 64 * 1024
_CALLBACKS = ("callbacks", "errbacks", "chain", "chord")
_CALLBACKS_1 = ("callbacks", "errbacks", "chord", "taskset")


class BadMessage(InvalidTask):
    """A message that holds no task that could be sent; task_id is its id, where it has one."""

    def __init__(self, message: str, task_id: str | None = None) -> None:
        super().__init__(message)
        self.task_id = task_id


@dataclass(frozen=True, slots=True, repr=False)
class Message:
    """What a message says before its arguments are looked at."""

    task_id: str
    name: object
    args: object
    kwargs: object
    eta: object
    expires: object
    callbacks: bool


def read_task(raw: str, settings: Settings) -> tuple[str, Task]:
    """The task that a message holds, and its id.

    Args:
        raw: an element of the Redis list, as kombu's Redis transport writes it.
        settings: of the worker, for what the message leaves out.

    Raises:
        BadMessage: saying what is wrong with it, and no value that stands in it.
    """
    message = read_message(raw)
    try:
        return message.task_id, _task(message, settings)
    except InvalidTask as error:
        text = str(error)
    # Raised here, so that nothing of the message stands in a traceback.
    raise BadMessage(text, message.task_id)


def too_large() -> BadMessage:
    """What is wrong with a message of more than LARGEST_BYTES."""
    return BadMessage(f"the message has more than {LARGEST_BYTES} bytes")


def read_message(raw: str) -> Message:
    """Read a message of either protocol.

    Raises:
        BadMessage: as for read_task.
    """
    if len(raw) > LARGEST_BYTES:
        raise too_large()
    outer = _json(raw, "the message is not JSON")
    if not isinstance(outer, dict):
        raise BadMessage("the message is not a JSON object")
    headers, properties = outer.get("headers") or {}, outer.get("properties") or {}
    if not isinstance(headers, dict) or not isinstance(properties, dict):
        raise BadMessage("the message's headers or properties are not a JSON object")
    task_id = _id_or_none(headers.get("id")) or _id_or_none(properties.get("correlation_id"))
    _check_content(outer, task_id)
    body = _json(_text(outer.get("body"), properties, task_id), "the message's body is not JSON", task_id)
    if "task" in headers:
        return _protocol_2(headers, body)
    if isinstance(body, dict):
        return _protocol_1(body)
    raise BadMessage("the message is of neither of Celery's protocols: it names no task", task_id)


def _check_content(outer: Mapping[str, Any], task_id: str | None) -> None:
    if outer.get("content-type") != "application/json":
        raise BadMessage("the message's content type is not application/json", task_id)
    encoding = outer.get("content-encoding")
    if not isinstance(encoding, str) or encoding.lower() not in {"utf-8", "utf8", "binary", "us-ascii"}:
        raise BadMessage("the message's content encoding is not utf-8; messages must not be compressed", task_id)


def _text(body: object, properties: Mapping[str, Any], task_id: str | None) -> str:
    if not isinstance(body, str):
        raise BadMessage("the message has no body", task_id)
    if properties.get("body_encoding") != "base64":
        return body
    try:
        return base64.b64decode(body, validate=True).decode()
    except (binascii.Error, ValueError):
        pass
    raise BadMessage("the message's body is not the base64 of UTF-8 that it says it is", task_id)


def _protocol_2(headers: Mapping[str, Any], body: object) -> Message:
    task_id = _id(headers.get("id"))
    match body:
        case [args, kwargs, dict() as embed]:
            callbacks = any(embed.get(name) for name in _CALLBACKS)
        case [args, kwargs] | [args, kwargs, None]:
            callbacks = False
        case _:
            raise BadMessage("the message's body is not [args, kwargs, embed]", task_id)
    return Message(task_id, headers["task"], args, kwargs, headers.get("eta"), headers.get("expires"), callbacks)


def _protocol_1(body: Mapping[str, Any]) -> Message:
    return Message(
        task_id=_id(body.get("id")),
        name=body.get("task"),
        args=body.get("args"),
        kwargs=body.get("kwargs"),
        eta=body.get("eta"),
        expires=body.get("expires"),
        callbacks=any(body.get(name) for name in _CALLBACKS_1),
    )


def _task(message: Message, settings: Settings) -> Task:
    if message.name != SEND_TASK:
        raise InvalidTask(f"the message is not for {SEND_TASK}; only such tasks belong on this list")
    if message.callbacks:
        raise InvalidTask("callbacks, chains and chords are for producers with this package; leave them out")
    if message.args:
        raise InvalidTask("the arguments of dtmf.send are named: channel_id, job_id, dtmf")
    kwargs = message.kwargs or {}
    if not isinstance(kwargs, dict):
        raise InvalidTask("the message's kwargs are not a JSON object")
    deadline = kwargs.get("deadline")
    if isinstance(deadline, str):
        kwargs = {**kwargs, "deadline": _moment(deadline, "deadline")}
    eta, expires = _moment(message.eta, "eta"), _moment(message.expires, "expires")
    return task_from(kwargs, settings, eta=eta, expires=expires)


def _moment(value: object, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None:
        raise InvalidTask(f"{name} is not a time as 2026-01-02T03:04:05Z")
    # Celery writes UTC where it names no zone.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _id_or_none(value: object) -> str | None:
    try:
        return check_task_id(value)
    except InvalidTask:
        return None


def _id(value: object) -> str:
    task_id = _id_or_none(value)
    if task_id is None:
        raise BadMessage("the message has no id" if value is None else "the message's id is no task id")
    return task_id


def _json(text: str, problem: str, task_id: str | None = None) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    raise BadMessage(problem, task_id)
