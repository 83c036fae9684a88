"""Commands beside a worker that runs, and in a terminal of their own."""

import json
import re

from tests.cli.desk import Desk, Terminal
from worker import __version__
from worker.vault import new_secret_key


def test_a_doctor_finds_the_worker_and_nothing_wrong(desk: Desk) -> None:
    assert desk.dtmf("send", "--channel", "doctor", "--job", "j", "1").returncode == 0
    # That the worker understands the key in use here is enough.
    keys = f"{desk.env['DTMF_SECRET_KEYS']},{new_secret_key()}"
    done = desk.dtmf("doctor", "--strict", env={"DTMF_SECRET_KEYS": keys})
    assert done.returncode == 0, done.stdout
    assert re.search(rf"^ok +workers +1 alive, version {__version__}, \d+ of 32 slots busy, up for", done.stdout, re.M)
    assert re.search(r"^ok +follower +keeps up", done.stdout, re.M)
    assert re.search(r"^ok +intake +celery@\S+ takes foreign messages; 0 messages on their lists", done.stdout, re.M)
    assert all(line.startswith("ok ") for line in done.stdout.splitlines())


def test_a_worker_with_other_secret_keys_is_found(desk: Desk) -> None:
    done = desk.dtmf("doctor", "--json", env={"DTMF_SECRET_KEYS": new_secret_key()})
    assert done.returncode == 1
    checks = [check for check in json.loads(done.stdout)["checks"] if check["check"] == "workers"]
    assert [check["level"] for check in checks] == ["ok", "fault"]
    [worker] = checks[0]["data"]["workers"]
    assert (worker["version"], worker["concurrency"], worker["stopping"]) == (__version__, 32, False)
    assert "without the secret key" in checks[1]["text"]
    assert worker["name"] in checks[1]["text"]


def test_a_terminal_takes_digits_as_they_are_typed(desk: Desk) -> None:
    with Terminal("send", "--channel", "typed", "--job", "j", "-", env=desk.env) as terminal:
        terminal.type("77#\n")
        assert terminal.end() == 0
    assert desk.heard("typed") == "77#"


def test_a_running_task_is_seen_and_cancelled(desk: Desk) -> None:
    sent = desk.dtmf("send", "--channel", "long", "--job", "j", "--task-id", "long", "--no-wait", "1" + "W2" * 24)
    assert sent.returncode == 0, sent.stderr
    shown = desk.dtmf("channel", "long").stdout
    assert re.search(r"served by +celery@\S+, for \d+\.\d s", shown), shown
    done = desk.dtmf("cancel", "long")
    assert done.returncode == 0, done.stderr
    with Terminal("tail", "--last", "50", env=desk.env) as terminal:
        terminal.wait_for(" long ")
        terminal.interrupt()
        assert terminal.end() == 0
    assert re.search(r"cancelled +\d+/25 long ", terminal.shown)
    heard = desk.heard("long")
    assert heard == "1" + "2" * (len(heard) - 1)
    assert len(heard) < 25


def test_the_doctors_lines_fit_a_terminal_of_80_columns(desk: Desk) -> None:
    with Terminal("doctor", env=desk.env) as terminal:
        assert terminal.end() == 0
    assert max(len(line) for line in terminal.shown.splitlines()) <= 80
