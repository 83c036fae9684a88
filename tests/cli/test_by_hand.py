"""The README's steps by hand, each command as a process of its own: from nothing to a digit heard."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from worker.local.processes import Child, wait_for_worker
from worker.local.redis import free_port
from worker.simulator.control import SimulatorControl

PYTHON = sys.executable
PIN = "8305#"


class Desk:
    """What a newcomer has open: a Redis, the simulator, a worker, and a terminal with the settings."""

    def __init__(self, redis: Child, simulator: Child, worker: Child, env: dict[str, str]) -> None:
        self.redis, self.simulator, self.worker = redis, simulator, worker
        self.env = env
        self.control = SimulatorControl(env["CCC_ENDPOINT"])

    def dtmf(
        self, *words: str, stdin: str = "", env: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in the terminal."""
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


def exports(text: str) -> dict[str, str]:
    """The settings that a command prints."""
    return dict(re.findall(r"export (\w+)=(\S+)", text))


@pytest.fixture(scope="module")
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


def test_send_waits_and_shows_what_became_of_each_digit(desk: Desk) -> None:
    done = desk.dtmf("send", "--channel", "ch-1", "--job", "job-1", PIN)
    assert done.returncode == 0, done.stderr
    assert ": sent" in done.stdout
    assert len(re.findall(r"^ \d +sent +1 +\d+\.\d{3} s +OK +[0-9A-F-]{36}", done.stdout, re.MULTILINE)) == len(PIN)
    assert desk.heard("ch-1") == PIN
    assert PIN not in done.stdout


def test_digits_from_standard_input_stand_in_no_list_of_processes(desk: Desk) -> None:
    done = desk.dtmf("send", "--channel", "ch-2", "--job", "job-1", "-", stdin=PIN + "\n")
    assert done.returncode == 0, done.stderr
    assert desk.heard("ch-2") == PIN


def test_no_wait_prints_the_id_alone_and_status_tells_the_rest(desk: Desk) -> None:
    done = desk.dtmf("send", "--channel", "ch-3", "--job", "job-1", "--task-id", "mine", "--no-wait", "W1")
    assert (done.returncode, done.stdout) == (0, "mine\n")
    # Until the task has ended, the command says how it stands.
    shown = desk.dtmf("status", "mine")
    assert shown.returncode == 0, shown.stderr
    assert re.match(r"task mine: (queued|sending|sent)", shown.stdout)
    again = desk.dtmf("send", "--channel", "ch-3", "--job", "job-1", "--task-id", "mine", "W1")
    assert ": sent" in again.stdout
    assert desk.heard("ch-3") == "1"


def test_a_task_that_fails_ends_the_command_with_status_1_and_says_why(desk: Desk) -> None:
    desk.control.end_call("ch-4", "job-4")
    done = desk.dtmf("send", "--channel", "ch-4", "--job", "job-4", "12")
    assert done.returncode == 1
    assert "failed (Gone, NotExists.ChannelId)" in done.stdout
    broken = desk.dtmf("send", "--channel", "ch-4", "--job", "job-4", "3")
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "the channel's line was broken by task" in broken.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("send", "--channel", "c", "--job", "j", "12x4"), "character 'x' at position 3 is not allowed"),
        (("send", "--channel", "c", "--job", "j", "--expires-in", "-1", "1"), "expires_in"),
        (("send", "--channel", "", "--job", "j", "1"), "channel_id must have 1 to"),
        (("send", "--job", "j", "1"), "Missing option '--channel'"),
        (("status", "never-enqueued"), "no task never-enqueued is known"),
        (("status", "a b"), "task_id must be"),
    ],
)
def test_a_mistake_is_one_clear_line_without_a_traceback(desk: Desk, words: tuple[str, ...], said: str) -> None:
    done = desk.dtmf(*words)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_missing_settings_are_all_named_at_once(desk: Desk) -> None:
    done = desk.dtmf("send", "--channel", "c", "--job", "j", "1", env={"REDIS_URL": "", "DTMF_SECRET_KEYS": ""})
    assert done.returncode == 1
    assert "REDIS_URL is missing" in done.stderr
    assert "DTMF_SECRET_KEYS is missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_away_is_one_clear_line(desk: Desk) -> None:
    away = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    done = desk.dtmf("status", "mine", env=away)
    assert done.returncode == 1
    assert "Redis does not answer" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_worker_the_command_says_so_once_the_deadline_has_passed(desk: Desk) -> None:
    desk.worker.signal(signal.SIGSTOP)
    try:
        done = desk.dtmf(
            "send", "--channel", "ch-5", "--job", "job-1", "--expires-in", "0.5", "1", env={"TERM": "dumb"}
        )
    finally:
        desk.worker.signal(signal.SIGCONT)
    assert done.returncode == 1
    assert "does a worker run?" in done.stderr


def test_help_lists_every_command() -> None:
    done = subprocess.run([PYTHON, "-m", "worker", "--help"], capture_output=True, text=True, check=True)
    for command in ("demo", "redis", "secret", "send", "simulator", "status"):
        assert re.search(rf"^  {command} +\w", done.stdout, re.MULTILINE)


def test_the_servers_end_at_once_and_cleanly_when_told_to(tmp_path: Path) -> None:
    for words in (("redis", "--port", "0"), ("simulator", "--port", "0")):
        for number in (signal.SIGINT, signal.SIGTERM):
            with Child([PYTHON, "-m", "worker", *words], env={}, log=tmp_path / f"{words[0]}-{number}") as child:
                child.wait_until(lambda text: "export " in text, words[0])
                child.signal(number)
                assert child.wait() == 0, child.output()
                assert "Traceback" not in child.output()
