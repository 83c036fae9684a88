"""A worker that cannot do its work does not start: one clear message, exit status not 0, no secret shown."""

import shlex
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.fleet.harness import until
from worker.local.processes import Child, worker_command, worker_environment
from worker.local.redis import LocalRedis, free_port

SECRET = "Sm4rkerThatNobodyMaySee"
PASSWORD = "Pm4rkerThatNobodyMaySee"
REFUSED_S = 60.0
NEEDED = (
    "CCC_INSTANCE_ID",
    "CCC_USER_ID",
    "CCC_DEVICE_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
)


def cases(fit: str, volatile: str, evicting: str) -> dict[str, tuple[dict[str, str], list[str]]]:
    """Environments and options with which no worker should start."""

    def environment(url: str) -> dict[str, str]:
        return worker_environment(url, free_port(), ALIBABA_CLOUD_ACCESS_KEY_SECRET=SECRET)

    good = environment(fit)
    return {
        "half": ({name: value for name, value in good.items() if name not in NEEDED}, []),
        "nothing": ({}, []),
        "wrong": (good | {"DTMF_SECRET_KEYS": SECRET, "DTMF_LEASE_MS": "500"}, []),
        "volatile": (environment(volatile), []),
        "evicting": (environment(evicting), []),
        "processes": (good, ["-P", "processes"]),
        "absent": (environment(f"redis://somebody:{PASSWORD}@127.0.0.1:{free_port()}/0"), []),
        "unknown": (environment(fit.replace("//", f"//somebody:{PASSWORD}@")), []),
    }


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Child]]:
    """All of these workers, started side by side."""
    folder = tmp_path_factory.mktemp("refused")
    lossy: dict[str, Any] = {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}
    with ExitStack() as opened:
        fit = opened.enter_context(LocalRedis(folder / "fit"))
        volatile = opened.enter_context(LocalRedis(folder / "volatile", appendonly="no"))
        evicting = opened.enter_context(LocalRedis(folder / "evicting", **lossy))
        started = {}
        for name, (env, options) in cases(fit.url, volatile.url, evicting.url).items():
            command = ["sh", "-c", f"exec {worker_command()} {shlex.join(options)}"]
            started[name] = Child(command, env=env, log=folder / f"{name}.log")
            opened.callback(started[name].kill)
        yield started


def said(child: Child) -> str:
    """What a worker says that does not start; see that it ends by itself, and says nothing that it should not."""
    until(lambda: child.exit_status is not None, "the worker ended", REFUSED_S)
    text = child.output()
    assert child.exit_status is not None
    assert child.exit_status > 0, text
    assert text.count("Error: ") == 1, text
    assert "Traceback" not in text
    assert SECRET not in text
    assert PASSWORD not in text
    return text


def test_every_missing_setting_is_named_at_once(refused: dict[str, Child]) -> None:
    text = said(refused["half"])
    assert all(name in text for name in NEEDED)
    assert "there are no credentials" in text


def test_a_worker_without_any_setting_says_what_it_needs(refused: dict[str, Child]) -> None:
    text = said(refused["nothing"])
    assert "REDIS_URL is missing" in text
    assert "DTMF_SECRET_KEYS is missing" in text


def test_wrong_settings_are_named_together_and_no_secret_is_shown(refused: dict[str, Child]) -> None:
    text = said(refused["wrong"])
    assert "DTMF_SECRET_KEYS number 1 is not a secret key" in text
    assert "DTMF_LEASE_MS" in text


def test_a_server_without_append_only_file_is_refused(refused: dict[str, Child]) -> None:
    text = said(refused["volatile"])
    assert "append-only file" in text
    assert "DTMF_REDIS_ALLOW_VOLATILE" in text


def test_a_server_that_evicts_is_refused(refused: dict[str, Child]) -> None:
    text = said(refused["evicting"])
    assert "allkeys-lru" in text
    assert "noeviction" in text


def test_another_pool_than_threads_is_refused(refused: dict[str, Child]) -> None:
    assert "-P threads" in said(refused["processes"])


def test_a_server_that_is_not_there_is_named_without_its_password(refused: dict[str, Child]) -> None:
    assert "Redis does not answer" in said(refused["absent"])


def test_a_password_that_the_server_does_not_take_is_named_as_such(refused: dict[str, Child]) -> None:
    text = said(refused["unknown"])
    assert "refuses the user or password of REDIS_URL" in text
    assert "does not answer" not in text
