"""A running Flower: started as the Procfile says, and looked at with and without its password."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import pytest
import requests
from flower.urls import handlers
from tornado.web import RequestHandler

from worker.local.processes import ROOT, Child
from worker.local.redis import free_port

USER, PASSWORD = "operator", "correct-horse-battery"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt-get install chromium)")


def flower_command() -> str:
    """The line of the Procfile that starts Flower."""
    lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
    return next(line.partition(":")[2].strip() for line in lines if line.startswith("web:"))


def start_flower(env: Mapping[str, str], log: Path, *options: str) -> Child:
    """Flower under this environment; it may not get ready."""
    return Child(["sh", "-c", f"exec {flower_command()} {' '.join(options)}"], env=env, log=log)


def routes() -> dict[str, type[RequestHandler]]:
    """Every path that Flower answers, with its handler; a name in a path is `nothing`."""
    found = {}
    for handler in handlers:
        pattern, answers = handler[:2] if isinstance(handler, tuple) else (handler.regex.pattern, handler.handler_class)
        path = re.sub(r"\(\.[+*]\)", "nothing", pattern.rstrip("$")).replace("/?", "").replace(".*", "/nowhere")
        found[path] = answers
    return found


def posts(handler: type[RequestHandler]) -> bool:
    """Whether a handler takes a POST."""
    return handler.post is not RequestHandler.post


class Pages:
    """A Flower of a test's own."""

    def __init__(self, env: Mapping[str, str], folder: Path, **settings: object) -> None:
        """Start it on the workers' environment; ready when wait returns."""
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        ours = {"DTMF_FLOWER_USER": USER, "DTMF_FLOWER_PASSWORD": PASSWORD, **settings}
        env = {**env, **{name: str(value) for name, value in ours.items()}}
        self.child = start_flower(env, folder / f"flower-{self.port}.log", f"--port={self.port}")
        self._folder = folder
        self._open = ExitStack()
        self._session = self._open.enter_context(requests.Session())
        self._session.trust_env = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self.child.stop()

    def wait(self) -> Self:
        """Wait until it listens, and hears the workers' events."""
        self.child.wait_until(lambda text: "Visit me" in text and "Connected to" in text, "Flower")
        return self

    def ask(self, path: str, method: str = "GET", *, auth: Any = (USER, PASSWORD), **options: Any) -> requests.Response:
        """One request."""
        return self._session.request(method, self.url + path, auth=auth, timeout=30, allow_redirects=False, **options)

    def tasks(self) -> dict[str, dict[str, Any]]:
        """The tasks that it shows, by id."""
        answer: dict[str, dict[str, Any]] = self.ask("/api/tasks").json()
        return answer

    def seen(self, path: str, *, login: str = f"{USER}:{PASSWORD}@") -> str:
        """What a browser shows of a page once its scripts have run."""
        assert CHROMIUM
        # Its sandbox does not run as root, and some containers have little shared memory.
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
        profile = f"--user-data-dir={self._folder / 'chromium'}"
        url = f"http://{login}127.0.0.1:{self.port}{path}"
        command = [CHROMIUM, *flags, profile, "--virtual-time-budget=5000", "--dump-dom", url]
        return subprocess.run(command, capture_output=True, text=True, timeout=150, check=True).stdout
