"""What a newcomer has open: a Redis, the simulator, a worker, and a terminal with the settings."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from worker.local.processes import Child
from worker.simulator.control import SimulatorControl

PYTHON = sys.executable
PATIENCE_S = 60.0


class Desk:
    """A Redis, the simulator, a worker, and a terminal with the settings."""

    def __init__(self, redis: Child, simulator: Child, worker: Child, env: dict[str, str]) -> None:
        self.redis, self.simulator, self.worker = redis, simulator, worker
        self.env = env
        self.control = SimulatorControl(env["CCC_ENDPOINT"])

    def dtmf(
        self, *words: str, stdin: str = "", env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command, its output into a pipe."""
        return subprocess.run(
            [PYTHON, "-m", "worker", *words],
            env={**self.env, "COLUMNS": "80", **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    def heard(self, channel: str) -> str:
        """The keys that the simulator heard on a channel."""
        return "".join(event["key"] for event in self.control.heard() if event["channel_id"] == channel)


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, *words: str, env: Mapping[str, str]) -> None:
        self._screen, inner = pty.openpty()
        self._process = subprocess.Popen(
            [PYTHON, "-m", "worker", *words],
            env={"TERM": "xterm", "COLUMNS": "80", **env},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        self.shown = ""

    def wait_for(self, text: str) -> Self:
        """Wait until it shows this text."""
        end = time.monotonic() + PATIENCE_S
        while text not in self.shown:
            assert self._read(), f"it ended, and showed:\n{self.shown}"
            assert time.monotonic() < end, f"it showed only:\n{self.shown}"
        return self

    def type(self, text: str) -> None:
        """Type into it."""
        os.write(self._screen, text.encode())

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def end(self) -> int:
        """Wait until it has ended; answers its exit status."""
        while self._read():
            pass
        return self._process.wait(PATIENCE_S)

    def _read(self) -> bool:
        """Read what there is, or wait a little for it; whether more may come."""
        if not select.select([self._screen], [], [], 0.1)[0]:
            return self._process.poll() is None
        # Linux says with an error that nobody is left at the other end.
        with suppress(OSError):
            new = os.read(self._screen, 65_536)
            self.shown += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", new.decode()).replace("\r\n", "\n")
            return bool(new)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._screen)


def exports(text: str) -> dict[str, str]:
    """The settings that a command prints."""
    return dict(re.findall(r"export (\w+)=(\S+)", text))
