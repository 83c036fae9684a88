"""Producers that have none of our code: another Celery application, and messages as other languages write them."""

import base64
import json
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from celery import Celery
from redis import Redis

from tests.fleet.harness import Ground, Line, Scene
from worker.dial import parse_dial

LIST = "dtmf"


@contextmanager
def other_celery(ground: Ground) -> Iterator[Celery]:
    """A CRM's own Celery application on the same broker."""
    url = ground.redis.url
    with Celery("crm", broker=url, backend=url, set_as_current=False) as app:
        yield app


def kwargs_of(line: Line, dtmf: str, **options: object) -> dict[str, object]:
    """The arguments of dtmf.send."""
    return {"channel_id": line.channel_id, "job_id": line.job_id, "dtmf": dtmf, **options}


def note(scene: Scene, task_id: str, line: Line, dtmf: str) -> None:
    """Tell a scene of a task that it did not enqueue itself."""
    scene.tasks.append((task_id, line, parse_dial(dtmf).keys, time.time()))


def protocol_2(kwargs: object, task_id: str | None = None, **headers: object) -> dict[str, Any]:
    """A message as celery-node writes it: few headers, base64."""
    task_id = task_id or str(uuid.uuid4())
    return {
        "body": _base64([[], kwargs, {}]),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "js", "task": "dtmf.send", "id": task_id, "root_id": task_id, **headers},
        "properties": _properties(task_id),
    }


def protocol_1(kwargs: object, task_id: str, *, plain: bool = False, **body: object) -> dict[str, Any]:
    """A message as gocelery and celery-php write it: everything in the body."""
    inner = {"id": task_id, "task": "dtmf.send", "args": [], "kwargs": kwargs, "retries": 0, "eta": None, **body}
    properties = _properties(task_id)
    if plain:
        del properties["body_encoding"]
    return {
        "body": json.dumps(inner) if plain else _base64(inner),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {},
        "properties": properties,
    }


def _properties(task_id: str) -> dict[str, Any]:
    return {
        "body_encoding": "base64",
        "correlation_id": task_id,
        "reply_to": str(uuid.uuid4()),
        "delivery_info": {"priority": 0, "routing_key": LIST, "exchange": LIST},
        "delivery_mode": 2,
        "delivery_tag": str(uuid.uuid4()),
    }


def _base64(body: object) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


def put(client: "Redis", *messages: dict[str, Any] | str | bytes, name: str = LIST) -> None:
    """Put messages on the list, in this order."""
    client.lpush(name, *(json.dumps(one) if isinstance(one, dict) else one for one in messages))
