"""A CRM's process: what an import costs and needs, errors that can be caught in it, and a fork."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis

from config.settings import Settings
from tests.producer.crm import CALL, CH, KEY, queued
from worker.local.redis import LocalRedis

ROOT = Path(__file__).resolve().parents[2]


def run(code: str, **env: str) -> str:
    """Run a program in a process of its own, with these settings and no others; answer what it printed."""
    passed = {name: value for name, value in os.environ.items() if name not in Settings.model_fields}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**passed, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.strip()


def loaded(module: str, *others: str) -> list[str]:
    code = f"import sys, {module}; print(*(name for name in {others!r} if name in sys.modules))"
    return run(code).split()


def test_the_client_of_the_api_brings_neither_celery_nor_redis_along() -> None:
    assert loaded("worker.ccc", "celery", "kombu", "redis", "config.settings") == []


@pytest.mark.parametrize("module", ["worker.channel", "worker.channel.queue", "worker.channel.server"])
def test_the_channel_queue_brings_neither_celery_nor_http_along(module: str) -> None:
    assert loaded(module, "celery", "kombu", "requests", "config.settings") == []


def test_a_producer_loads_nothing_that_a_worker_is_made_of() -> None:
    assert loaded("worker.celery_app", "worker.run", "worker.fleet.boot", "worker.simulator", "aiohttp") == []


def test_importing_send_dtmf_needs_no_settings_and_its_first_use_says_which_are_missing() -> None:
    code = f"""
from worker import send_dtmf
from worker.errors import DtmfError
try:
    send_dtmf.delay(**{CALL!r})
except DtmfError as error:
    print(error)
"""
    assert run(code).splitlines() == [
        "the settings are not right:",
        "  - REDIS_URL is missing",
        "  - DTMF_SECRET_KEYS is missing",
    ]


def test_a_crm_with_an_application_of_its_own_keeps_it() -> None:
    code = """
from celery import Celery, current_app, shared_task
crm = Celery("crm", broker="memory://")

@shared_task
def bill(): ...

from worker import send_dtmf
send_dtmf.name
print(current_app.main, bill.app.main, [name for name in crm.tasks if name.startswith("dtmf")])
"""
    out = run(code, REDIS_URL="redis://127.0.0.1:1", DTMF_SECRET_KEYS=KEY)
    assert out == "crm crm []"


def test_a_crm_catches_the_errors_of_a_result_by_their_class(redis_server: LocalRedis, redis_client: Redis) -> None:
    errors: list[tuple[str, str, str, list[object]]] = [
        ("a", "Gone", "worker.ccc.errors", ["text", "NotExists.JobId", 404, "req", None]),
        ("b", "LineBroken", "worker.errors", ["text", {"state": "cancelled"}]),
    ]
    for task_id, kind, module, args in errors:
        state = "FAILURE" if kind == "Gone" else "REVOKED"
        result = {"exc_type": kind, "exc_module": module, "exc_message": args}
        stored: dict[str, object] = {
            "status": state,
            "result": result,
            "traceback": None,
            "children": [],
            "task_id": task_id,
        }
        redis_client.set(f"celery-task-meta-{task_id}", json.dumps(stored))
    code = """
from worker import send_dtmf
from worker.errors import DtmfError, TaskCancelled
try:
    send_dtmf.AsyncResult("a").get(timeout=10)
except DtmfError as error:
    print(type(error).__name__, error.code, error.http_status)
try:
    send_dtmf.AsyncResult("b").get(timeout=10)
except TaskCancelled as error:
    print(type(error).__name__, error.outcome["state"])
"""
    out = run(code, REDIS_URL=redis_server.url, DTMF_SECRET_KEYS=KEY)
    assert out.splitlines() == ["Gone NotExists.JobId 404", "LineBroken cancelled"]


def test_both_sides_of_a_fork_enqueue(redis_server: LocalRedis, redis_client: Redis) -> None:
    code = f"""
import os
from worker import send_dtmf
call = {CALL!r}
send_dtmf.apply_async(kwargs=call, task_id="before")
child = os.fork()
side = "parent" if child else "child"
for number in range(5):
    send_dtmf.apply_async(kwargs=call, task_id=f"{{side}}-{{number}}")
    assert send_dtmf.status("before").id == "before"
if child:
    assert os.waitpid(child, 0)[1] == 0
    print("done")
os._exit(0) if not child else None
"""
    assert run(code, REDIS_URL=redis_server.url, DTMF_SECRET_KEYS=KEY) == "done"
    tasks = queued(redis_client, CH)
    assert tasks[0] == "before"
    for side in ("parent", "child"):
        assert [task for task in tasks if task.startswith(side)] == [f"{side}-{number}" for number in range(5)]
    assert len(tasks) == 11
