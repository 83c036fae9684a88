"""How many messages of foreign producers a second the intake takes, beside a worker's own sending.

20,000 tasks of one digit on 1,000 channels stand on the list before the fleet starts. Run on a quiet machine:
`make bench`.
"""

import base64
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from redis import Redis

from worker.local.processes import start_simulator, start_worker, wait_for_worker, worker_environment
from worker.local.redis import LocalRedis, free_port
from worker.simulator.control import SimulatorControl

MESSAGES, CHANNELS = 20_000, 1000


def message(number: int) -> str:
    """A message as celery-node writes it."""
    kwargs = {"channel_id": f"ch:{number % CHANNELS}", "job_id": "job", "dtmf": "1", "expires_in": 3600}
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps([[], kwargs, {}]).encode()).decode(),
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"lang": "js", "task": "dtmf.send", "id": f"task-{number}"},
            "properties": {"body_encoding": "base64", "delivery_tag": str(number), "delivery_info": {}},
        }
    )


def main(processes: int) -> None:
    """Measure and print."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(LocalRedis(folder / "redis", fsync="everysec"))
        port = free_port()
        stack.enter_context(start_simulator(port, folder / "simulator.log"))
        control = stack.enter_context(SimulatorControl(f"http://127.0.0.1:{port}"))
        control.set_scene({"rules": [{"latency": 0.02}]})
        with Redis.from_url(redis.url) as client:
            for start in range(0, MESSAGES, 1000):
                client.lpush("dtmf", *map(message, range(start, start + 1000)))
            environment = worker_environment(redis.url, port, DTMF_CONCURRENCY=64 // processes)
            workers = [start_worker(f"w{n}", environment, folder / f"w{n}.log") for n in range(processes)]
            for worker in workers:
                stack.enter_context(worker)
            while client.llen("dtmf") == MESSAGES:
                time.sleep(0.005)
            began = time.monotonic()
            while client.llen("dtmf"):
                time.sleep(0.005)
            taken = time.monotonic() - began
            for worker in workers:
                wait_for_worker(worker)
            while control.stats()["heard"] < MESSAGES:
                time.sleep(0.05)
            heard = time.monotonic() - began
    print(
        f"{processes} processes: {MESSAGES} messages taken in {taken:.1f} s ({MESSAGES / taken:.0f}/s), "
        f"all heard after {heard:.1f} s"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
