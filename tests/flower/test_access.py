"""Who may see Flower, and who may write: nobody without the password, and nobody at all unless that was asked for."""

import base64
import socket

import pytest

from tests.flower.conftest import PIN, Office, line_of
from tests.flower.pages import PASSWORD, USER, posts, routes

STRANGERS = {
    "nobody": None,
    "a wrong password": (USER, "correct-horse-batterx"),
    "a wrong name": ("admin", PASSWORD),
    "no password": (USER, ""),
    "letters of no alphabet": (USER, "p\xe4ssword-\xff"),
}
PATHS = routes()
WRITES = {path for path, handler in PATHS.items() if posts(handler) and path.startswith("/api/")}

SENDING = {"/api/task/apply", "/api/task/async-apply", "/api/task/send-task"}


@pytest.mark.parametrize("who", STRANGERS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stranger_gets_nothing(office: Office, who: str, method: str) -> None:
    for path in PATHS:
        answer = office.writable.ask(path, method, auth=STRANGERS[who])
        if path == "/healthcheck":
            continue
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"].startswith("Basic"), path
        assert answer.text == "user name and password are needed\n"


@pytest.mark.parametrize("header", ["", "Basic", "Basic !", "Bearer x", "Basic " + base64.b64encode(b"\xff:").decode()])
def test_no_header_opens_or_breaks_it(office: Office, header: str) -> None:
    def give(request: "object") -> "object":
        request.headers["Authorization"] = header  # type: ignore[attr-defined]
        return request

    assert office.shown.ask("/metrics", auth=give).status_code == 401


def test_the_health_check_is_open_and_says_only_that(office: Office) -> None:
    assert office.shown.ask("/healthcheck", auth=None).text == "OK"
    for path in ("/healthcheck/", "/healthcheck/x", "/x/healthcheck", "//healthcheck", "/task/healthcheck"):
        assert office.shown.ask(path, auth=None).status_code == 401, path


def test_with_the_password_all_is_there(office: Office) -> None:
    for path in ("/", "/workers", "/tasks", "/broker", "/metrics", "/api/tasks", "/api/workers", "/api/task/types"):
        assert office.shown.ask(path).status_code == 200, path


def test_nothing_is_written_unless_it_may_be(office: Office) -> None:
    assert len(WRITES) > 10
    line = line_of("readonly")
    kwargs = {"channel_id": line.channel_id, "job_id": line.job_id, "dtmf": PIN}
    for path in WRITES:
        named = path.replace("nothing", "dtmf.send") if path.rpartition("/")[0] in SENDING else path
        answer = office.shown.ask(named, "POST", json={"kwargs": kwargs})
        assert answer.status_code == 403, path
    assert {path.rpartition("/")[0] for path in WRITES} >= SENDING
    assert office.ground.client.exists(f"dtmf:ch:{line.digest}", f"dtmf:q:{line.digest}") == 0
    assert not any(event["channel_id"] == line.channel_id for event in office.scene.control.heard(0))


def test_it_listens_on_this_machine_alone(office: Office) -> None:
    """Another address of the loopback interface is one on which it would listen if it listened on all."""
    with socket.socket() as probe:
        probe.settimeout(5)
        assert probe.connect_ex(("127.0.0.2", office.shown.port)) != 0
