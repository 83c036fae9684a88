"""A CRM's own Celery application, with tasks of its own on a queue of its own; a test starts its worker.

It writes down what it was called with, in Redis under `crm:called`.
"""

import json
import os
from typing import Any

from celery import Celery
from redis import Redis

URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:1")
CALLED = "crm:called"
app = Celery("crm", broker=URL, backend=URL, set_as_current=False)
app.conf.task_default_queue = "crm"
app.conf.task_routes = {"crm.failed": {"queue": "crm-trouble"}}


def _note(name: str, *args: object) -> None:
    with Redis.from_url(URL) as client:
        client.rpush(CALLED, json.dumps([name, *args]))


@app.task(name="crm.done")
def done(outcome: Any, told: str = "") -> str:
    """A link, a chain's last, a chord's body."""
    _note("done", outcome, told)
    return told


@app.task(name="crm.failed")
def failed(task_id: str) -> None:
    """A link_error."""
    _note("failed", task_id)
