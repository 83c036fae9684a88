"""How long the fleet takes for many short tasks, against the least that the network allows.

2,000 tasks of one digit, 100 channels, bursts of 5, an API that answers after 20 ms, 64 slots: at least
2,000 * 20 ms / 64 = 0.625 s. Run on a quiet machine: `make bench`.
"""

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from worker.local.processes import Child, start_simulator, start_worker, wait_for_worker, worker_environment
from worker.local.redis import LocalRedis, free_port
from worker.simulator.control import SimulatorControl

CHANNELS, BURSTS, BURST = 100, 4, 5
LATENCY_S = 0.02
SLOTS = 64
_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(child: Child) -> float:
    """CPU time that a process has used so far."""
    fields = Path(f"/proc/{child.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def main(processes: int) -> None:
    """Measure and print."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(LocalRedis(folder / "redis", fsync="everysec"))
        port = free_port()
        stack.enter_context(start_simulator(port, folder / "simulator.log"))
        control = stack.enter_context(SimulatorControl(f"http://127.0.0.1:{port}"))
        environment = worker_environment(redis.url, port, DTMF_CONCURRENCY=SLOTS // processes)
        workers = [start_worker(f"w{n}", environment, folder / f"w{n}.log") for n in range(processes)]
        for worker in workers:
            stack.enter_context(worker)
            wait_for_worker(worker)
        os.environ.update({name: environment[name] for name in ("REDIS_URL", "DTMF_SECRET_KEYS")})
        from worker import send_dtmf  # noqa: PLC0415 - it reads the settings

        for n in range(SLOTS):
            send_dtmf.delay(channel_id=f"warm-{n}", job_id="job", dtmf="1").get(timeout=20)
        control.set_scene({"rules": [{"latency": LATENCY_S}]})
        before = len(control.heard())
        used = sum(map(cpu_seconds, workers))
        began = time.time()
        for _ in range(BURSTS):
            for channel in range(CHANNELS):
                for _ in range(BURST):
                    send_dtmf.delay(channel_id=f"ch-{channel}", job_id="job", dtmf="1", expires_in=300)
        enqueued = time.time() - began
        total = CHANNELS * BURSTS * BURST
        while control.stats()["heard"] < before + total:
            time.sleep(0.05)
        heard = control.heard(before)
        wall = max(event["executed_at"] for event in heard) - began
        least = total * LATENCY_S / SLOTS
        print(f"{total} digits, {CHANNELS} channels, {processes} worker process(es) with {SLOTS} slots in all")
        print(f"enqueued in {enqueued:.2f} s by one producer")
        print(f"all heard after {wall:.2f} s = {wall / least:.1f} x limit")
        print(f"CPU of the workers: {sum(map(cpu_seconds, workers)) - used:.2f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
