"""The README's steps by hand, each command as a process of its own: from nothing to a digit heard."""

import re
import signal
from pathlib import Path

from tests.cli.desk import PYTHON, Desk
from worker.local.processes import Child

PIN = "8305#"


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


def test_a_mistake_is_one_clear_line_without_a_traceback(desk: Desk) -> None:
    done = desk.dtmf("send", "--channel", "c", "--job", "j", "12x4")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"Error: dtmf: character 'x' at position 3 is not allowed; .*\n", done.stderr)


def test_the_servers_end_at_once_and_cleanly_when_told_to(tmp_path: Path) -> None:
    for words in (("redis", "--port", "0"), ("simulator", "--port", "0")):
        for number in (signal.SIGINT, signal.SIGTERM):
            with Child([PYTHON, "-m", "worker", *words], env={}, log=tmp_path / f"{words[0]}-{number}") as child:
                child.wait_until(lambda text: "export " in text, words[0])
                child.signal(number)
                assert child.wait() == 0, child.output()
                assert "Traceback" not in child.output()
