"""A Flower that would be open to others than its operators does not start, and says why in one message."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.fleet.harness import until
from tests.flower.pages import PASSWORD, start_flower
from worker.local.processes import Child, worker_environment
from worker.local.redis import free_port

WORKER = worker_environment(f"redis://127.0.0.1:{free_port()}/0", free_port())
GUARDED = {**WORKER, "DTMF_FLOWER_PASSWORD": PASSWORD}
SECRET = "short-pw"
CASES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "no password": (WORKER, ()),
    "all wrong": ({"DTMF_FLOWER_PASSWORD": SECRET, "DTMF_FLOWER_USER": "a:b", "PORT": "http"}, ()),
    "a login of Flower's own": ({**GUARDED, "FLOWER_BASIC_AUTH": f"a:{SECRET}"}, ()),
    "no such address": ({**GUARDED, "DTMF_FLOWER_ADDRESS": "192.0.2.1", "PORT": "5555"}, ()),
    "written by an option": (GUARDED, ("--read_only=true", "--auth=.*@example.com")),
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Child]]:
    """All of them, side by side."""
    folder = tmp_path_factory.mktemp("refused")
    with ExitStack() as opened:
        started = {name: start_flower(env, folder / f"{name}.log", *options) for name, (env, options) in CASES.items()}
        for child in started.values():
            opened.callback(child.kill)
        yield started


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no password", ["DTMF_FLOWER_PASSWORD is missing"]),
        (
            "all wrong",
            [
                "REDIS_URL is missing",
                "DTMF_SECRET_KEYS is missing",
                "DTMF_FLOWER_PASSWORD is too short",
                "DTMF_FLOWER_USER has a character",
                "PORT is not a port's number",
            ],
        ),
        ("a login of Flower's own", ["basic_auth: set DTMF_FLOWER_USER"]),
        ("no such address", ["cannot listen on 192.0.2.1, port 5555"]),
        ("written by an option", ["read_only: it is on", "auth: there is one login"]),
    ],
)
def test_it_says_what_is_wrong(refused: dict[str, Child], name: str, words: list[str]) -> None:
    child = refused[name]
    until(lambda: child.exit_status is not None, "Flower ended")
    text = child.output()
    assert child.exit_status == 1, text
    assert all(word in text for word in words), text
    assert text.count("Error: ") == 1
    assert "Traceback" not in text
    assert SECRET not in text
    assert PASSWORD not in text
