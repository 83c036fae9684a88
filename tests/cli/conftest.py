"""The desk for all that need a worker; a command line in this process for all that need a server alone."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from click.testing import CliRunner, Result
from redis import Redis

from tests.channel.desk import Desk as Queues
from tests.cli.desk import PYTHON, Desk, exports
from tests.producer.crm import fresh_send_dtmf, set_environment
from worker import celery_app
from worker.cli import main
from worker.local.processes import Child, wait_for_worker
from worker.local.redis import LocalRedis, free_port
from worker.simulator.control import SimulatorControl

Dtmf = Callable[..., Result]


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    with ExitStack() as stack:

        def run(name: str, *words: str, env: dict[str, str]) -> Child:
            return stack.enter_context(Child([PYTHON, "-m", *words], env=env, log=folder / name))

        redis = run("redis", "worker", "redis", "--port", "0", env={})
        redis.wait_until(lambda text: "export REDIS_URL=" in text, "dtmf redis")
        simulator = run("simulator", "worker", "simulator", "--port", str(free_port()), env={})
        simulator.wait_until(lambda text: "ALIBABA_CLOUD_ACCESS_KEY_SECRET=" in text, "dtmf simulator")
        secret = subprocess.run([PYTHON, "-m", "worker", "secret"], capture_output=True, text=True, check=True).stdout
        env = {
            **exports(redis.output()),
            **exports(simulator.output()),
            "DTMF_SECRET_KEYS": secret.strip(),
            "CCC_USER_ID": "agent@ccc-test",
            "CCC_DEVICE_ID": "device",
        }
        worker = run("worker", "celery", "-A", "worker", "worker", "-l", "INFO", env=env)
        wait_for_worker(worker)
        with SimulatorControl(env["CCC_ENDPOINT"]) as control:
            found = Desk(redis, simulator, worker, env)
            found.control.close()
            found.control = control
            yield found


@pytest.fixture
def dtmf(redis_server: LocalRedis, redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dtmf]:
    """Run a command in this process, under the settings of a producer and on an empty server, without a terminal."""
    del redis_client  # it empties the server
    set_environment(monkeypatch, redis_server.url, COLUMNS="80")
    with fresh_send_dtmf() as send_dtmf:
        monkeypatch.setattr(celery_app, "send_dtmf", send_dtmf)
        monkeypatch.setattr(celery_app, "app", send_dtmf.app)

        def run(*words: str, stdin: str | bytes = "", **options: Any) -> Result:
            return CliRunner().invoke(main, words, input=stdin, **options)

        yield run


@pytest.fixture
def queues(redis_client: Redis) -> Queues:
    """A worker's steps on the server's channel queues."""
    return Queues(redis_client)
