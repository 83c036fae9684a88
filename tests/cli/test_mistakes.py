"""What goes wrong is one clear line on standard error: no traceback, and nothing that was typed."""

import re
from pathlib import Path

import pytest
from redis import Redis

import worker.cli
from tests.cli.conftest import Dtmf
from worker.cli import main
from worker.local.redis import LocalRedis, free_port

PIN = "83057#"
SEND = ("send", "--channel", "ch-1", "--job", "job-1")
PASSWORD = "geheim-hunter2"
ASKS = {
    "send": (*SEND, "--no-wait", PIN),
    "status": ("status", "task-1"),
    "cancel": ("cancel", "task-1"),
    "channel": ("channel", "ch-1"),
    "pause": ("pause", "ch-1"),
    "resume": ("resume", "ch-1"),
    "purge": ("purge", "--yes", "ch-1"),
    "tail": ("tail", "--last", "1"),
    "dead-letters": ("dead-letters",),
    "requeue": ("dead-letters", "requeue", "--all", "--yes"),
    "drop": ("dead-letters", "drop", "1a2b3c4d"),
}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*SEND, "12x4"), "character 'x' at position 3 is not allowed"),
        ((*SEND, "--expires-in", "-1", "1"), "expires_in"),
        (("send", "--channel", "", "--job", "j", "1"), "channel_id must have 1 to"),
        (("send", "--job", "j", "1"), "Missing option '--channel'"),
        (("status", "never-enqueued"), "no task never-enqueued is known"),
        (("status", "a b"), "task_id must be"),
        (("cancel", "never-enqueued"), "no task never-enqueued is known"),
        (("cancel", "a b"), "task_id must be"),
        (("channel", ""), "channel_id must have 1 to"),
        (("pause", "ch\x07"), "channel_id holds a control character"),
        (("tail", "--since", "10x"), "a time such as 30s, 10m, 2h or 1d"),
        (("tail", "--since", "1h", "--last", "3"), "exclude each other"),
        (("tail", "--no-follow"), "needs --last or --since"),
        (("tail", "--state", "queued"), "is not one of"),
        (("no-such-command",), "No such command"),
    ],
)
def test_a_mistake_is_named(dtmf: Dtmf, redis_client: Redis, words: tuple[str, ...], said: str) -> None:
    done = dtmf(*words)
    assert done.exit_code in {1, 2}
    assert said in done.stderr
    assert done.stdout == ""
    assert redis_client.keys() == []


@pytest.mark.parametrize("text", [PIN, f"{PIN}\n", f"{PIN}\r\n", f"{PIN}\n\n"])
def test_one_line_of_standard_input_is_taken(dtmf: Dtmf, redis_client: Redis, text: str) -> None:
    done = dtmf(*SEND, "--no-wait", "--task-id", "mine", "-", stdin=text)
    assert (done.exit_code, done.stdout) == (0, "mine\n")
    assert redis_client.hget("dtmf:t:mine", "n") == str(len(PIN))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{PIN}\n999\n", "more than one line"),
        (f"\n{PIN}\n", "more than one line"),
        ("", "is empty"),
        ("\n", "is empty"),
        (PIN.encode() + b"\xff\n", "is not text"),
    ],
)
def test_any_other_standard_input_is_refused_and_not_shown(
    dtmf: Dtmf, redis_client: Redis, text: str | bytes, said: str
) -> None:
    done = dtmf(*SEND, "--no-wait", "-", stdin=text)
    assert done.exit_code == 2
    assert f"standard input {said}" in done.stderr or f"standard input holds {said}" in done.stderr
    assert "8305" not in done.output
    assert redis_client.keys() == []


def test_missing_settings_are_all_named_at_once(dtmf: Dtmf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("DTMF_SECRET_KEYS", "")
    for words in (ASKS["send"], ASKS["tail"], ASKS["channel"]):
        done = dtmf(*words)
        assert (done.exit_code, done.stdout) == (1, "")
        assert "REDIS_URL is missing" in done.stderr
        assert "DTMF_SECRET_KEYS is missing" in done.stderr


@pytest.mark.parametrize("ask", ASKS)
def test_a_server_that_is_away_is_one_clear_line(dtmf: Dtmf, monkeypatch: pytest.MonkeyPatch, ask: str) -> None:
    monkeypatch.setattr("worker.door._PATIENCE_S", 0)
    monkeypatch.setenv("REDIS_URL", f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0")
    done = dtmf(*ASKS[ask])
    assert (done.exit_code, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: Redis does not answer \(ConnectionRefusedError\).*\n", done.stderr)
    assert PASSWORD not in done.stderr


@pytest.mark.parametrize("ask", ASKS)
def test_a_password_that_is_not_taken_is_called_that(
    dtmf: Dtmf, redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch, ask: str
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url.replace("//", f"//crm:{PASSWORD}@"))
    done = dtmf(*ASKS[ask])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "Redis refuses the user or password of REDIS_URL" in done.stderr
    assert "does not answer" not in done.stderr
    assert PASSWORD not in done.stderr


def test_a_password_that_is_missing_is_called_that(dtmf: Dtmf, redis_client: Redis) -> None:
    redis_client.config_set("requirepass", PASSWORD)
    try:
        done = dtmf(*ASKS["status"])
    finally:
        redis_client.config_set("requirepass", "")
    assert "Redis refuses the user or password of REDIS_URL, or misses one there" in done.stderr


def test_without_a_worker_the_command_says_so_once_the_deadline_has_passed(
    dtmf: Dtmf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.cli.send._GRACE_S", 0.1)
    done = dtmf(*SEND, "--expires-in", "0.1", "1")
    assert done.exit_code == 1
    assert "does a worker run?" in done.stderr


def test_help_lists_every_command_and_fits_a_terminal(dtmf: Dtmf) -> None:
    files = {path.stem for path in Path(worker.cli.__file__).parent.glob("*.py")}
    shown = dtmf("--help").stdout
    for name in main.list_commands(None):  # type: ignore[arg-type]
        assert name.replace("-", "_") in files
        assert re.search(rf"^  {name} +\w", shown, re.MULTILINE)
        assert dtmf(name, "--help").exit_code == 0
    assert max(len(line) for line in shown.splitlines()) <= 80
