"""The simulator and Celery workers as processes of their own, started as their users start them."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from worker.errors import DtmfError
from worker.vault import new_secret_key

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60.0
ACCESS_KEY_ID = "LTAI-local-simulator"
ACCESS_KEY_SECRET = "local-simulator-knows-this-secret"  # noqa: S105 - made up; the simulator alone takes it


class ChildFailed(DtmfError):
    """A process that should run has ended, or did not get ready."""


class Child:
    """A process with a log file, in a session of its own, so that Ctrl-C reaches only the one that started it."""

    def __init__(self, command: list[str], *, env: Mapping[str, str], log: Path) -> None:
        """Start it. Its environment is `env` with this process's PATH, and nothing else."""
        self.log = log
        search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        passed = {"PATH": search, "HOME": os.environ.get("HOME", "/"), "PYTHONUNBUFFERED": "1", **env}
        with log.open("ab") as out:
            self._process = subprocess.Popen(  # noqa: S603 - our own commands
                command, env=passed, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )
        self.pid = self._process.pid

    @property
    def exit_status(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.poll()

    def output(self) -> str:
        """All that it printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, ready: Callable[[str], bool], what: str, timeout: float = READY_S) -> Self:
        """Wait until its output shows that it is ready.

        Raises:
            ChildFailed: if it ended before, or took longer than timeout seconds.
        """
        end = time.monotonic() + timeout
        while not ready(self.output()):
            if self.exit_status is not None:
                raise ChildFailed(f"{what} ended with status {self.exit_status}; it printed:\n{self.output()[-2000:]}")
            if time.monotonic() > end:
                raise ChildFailed(f"{what} was not ready within {timeout:.0f} s; it printed:\n{self.output()[-2000:]}")
            time.sleep(0.05)
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.exit_status is None:
            self._process.send_signal(number)

    def wait(self, timeout: float = 20.0) -> int:
        """Wait until it ends by itself, so many seconds at the most; answers its exit status."""
        return self._process.wait(timeout)

    def stop(self, timeout: float = 20.0) -> int:
        """SIGTERM, and SIGKILL after so many seconds; answers its exit status."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """SIGKILL; answers its exit status."""
        self.signal(signal.SIGKILL)
        return self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_simulator(port: int, log: Path, *options: str) -> Child:
    """`dtmf simulator` on a port, ready to be asked."""
    keys = ("--access-key-id", ACCESS_KEY_ID, "--access-key-secret", ACCESS_KEY_SECRET)
    command = [sys.executable, "-m", "worker.simulator", "--port", str(port), *keys, *options]
    child = Child(command, env={}, log=log)
    try:
        return child.wait_until(lambda text: "simulator listening on" in text, "the simulator")
    except BaseException:
        child.stop()
        raise


def worker_environment(redis_url: str, simulator_port: int, **settings: object) -> dict[str, str]:
    """The settings of a worker that uses the simulator; a fresh secret key unless one is given."""
    return {
        "REDIS_URL": redis_url,
        "DTMF_SECRET_KEYS": new_secret_key(),
        "CCC_ENDPOINT": f"http://127.0.0.1:{simulator_port}",
        "CCC_INSTANCE_ID": "ccc-test",
        "CCC_USER_ID": "user-test@ccc-test",
        "CCC_DEVICE_ID": "device-test",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": ACCESS_KEY_SECRET,
        **{name: str(value) for name, value in settings.items()},
    }


def worker_command() -> str:
    """The line of the Procfile that starts a worker."""
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("worker:"))


def start_worker(name: str, env: Mapping[str, str], log: Path) -> Child:
    """A Celery worker as the Procfile starts it, under a node name of its own; ready is up to the caller."""
    return Child(["sh", "-c", f"exec {worker_command()} -n {shlex.quote(name)}@localhost"], env=env, log=log)


def wait_for_worker(child: Child) -> Child:
    """Wait until a worker takes messages."""
    return child.wait_until(lambda text: " ready." in text, "the worker")
