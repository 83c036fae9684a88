"""channel, cancel, pause, resume and purge: what an operator sees and does, and what is kept from the screen."""

import json
from typing import Any

import pytest
from redis import Redis

from tests.channel.desk import Desk as Queues
from tests.channel.desk import eventually
from tests.cli.conftest import Dtmf
from tests.producer.crm import CALL, CH, PERSONAL, messages, queued
from worker.channel.steps import Verdict

CHANNEL = CALL["channel_id"]


def send(dtmf: Dtmf, task_id: str, *options: str, keys: str = CALL["dtmf"]) -> None:
    done = dtmf(
        "send", "--channel", CHANNEL, "--job", CALL["job_id"], "--no-wait", "--task-id", task_id, *options, keys
    )
    assert done.exit_code == 0, done.stderr


def serve(queues: Queues, verdict: Verdict, **facts: Any) -> None:
    """A worker settles the next digit of the channel, and has the one after it on its way."""
    queues.settle("run-1", queues.take("run-1", ch=CH), verdict, ch=CH, **facts)


@pytest.mark.parametrize("given", [CHANNEL, CH, "-"])
def test_a_channel_is_named_by_its_id_by_its_digest_or_on_standard_input(dtmf: Dtmf, given: str) -> None:
    send(dtmf, "t1")
    done = dtmf("channel", given, stdin=f"{CHANNEL}\n")
    assert done.exit_code == 0, done.stderr
    assert CH in done.stdout
    assert "t1" in done.stdout


def test_a_digest_may_stand_on_standard_input_too(dtmf: Dtmf) -> None:
    assert CH in dtmf("pause", "-", stdin=CH).stdout


def test_what_waits_is_shown_without_a_key_or_a_phone_number(dtmf: Dtmf) -> None:
    send(dtmf, "t1")
    send(dtmf, "t2", "--on-failure", "continue")
    for options in ((), ("--json",)):
        done = dtmf("channel", CHANNEL, *options)
        assert done.exit_code == 0
        assert not [marker for marker in PERSONAL if marker in done.stdout]
    shown = dtmf("channel", CHANNEL).stdout
    assert "waiting     2 tasks" in shown
    assert "goes on" in shown
    assert dtmf("status", "t1").stdout.splitlines()[-1] == f"channel {CH}"


def test_who_serves_it_and_what_is_on_its_way_is_shown(dtmf: Dtmf, queues: Queues) -> None:
    send(dtmf, "t1")
    serve(queues, Verdict.OK)
    shown = dtmf("channel", CHANNEL).stdout
    assert "served by   tester, for " in shown
    assert "on its way  digit 2 of task t1" in shown
    assert "in doubt" not in shown
    queues.lease_over(CH)
    shown = dtmf("channel", CHANNEL).stdout
    assert "served by   nobody; tester has been silent" in shown
    assert "in doubt" in shown


def test_what_holds_a_channel_up_is_shown(dtmf: Dtmf, queues: Queues) -> None:
    send(dtmf, "t1")
    serve(queues, Verdict.UNKNOWN, error="TaskUnknown", code="InternalError", pause=20_000)
    dtmf("pause", CHANNEL)
    shown = dtmf("channel", CHANNEL).stdout
    for said in ("paused      for", "broken by   task t1 (InternalError)", "held        for", "waiting     0 tasks"):
        assert said in shown
    dtmf("resume", CHANNEL)
    shown = dtmf("channel", CHANNEL).stdout
    assert "paused" not in shown
    assert "broken" not in shown


def test_programs_get_the_same_as_json(dtmf: Dtmf, queues: Queues) -> None:
    for i in range(3):
        send(dtmf, f"t{i}")
    serve(queues, Verdict.OK)
    seen = json.loads(dtmf("channel", CHANNEL, "--json", "--most", "2").stdout)
    assert (seen["ch"], seen["waiting"], seen["run"]["worker"], seen["mark"]["digit"]) == (CH, 3, "tester", 2)
    assert [(task["id"], task["digits"], task["settled"]) for task in seen["tasks"]] == [("t0", 8, 1), ("t1", 8, 0)]


def test_a_long_queue_is_cut_and_counted(dtmf: Dtmf) -> None:
    for i in range(4):
        send(dtmf, f"t{i}")
    assert dtmf("channel", CHANNEL, "--most", "3").stdout.endswith("and 1 more\n")


def test_a_pause_keeps_tasks_and_resume_wakes_the_channel(dtmf: Dtmf, redis_client: Redis) -> None:
    assert dtmf("pause", CHANNEL).exit_code == 0
    send(dtmf, "t1")
    assert messages(redis_client) == []
    assert "waiting: 1 task\n" in dtmf("pause", CH).stdout
    assert dtmf("resume", "-", stdin=CHANNEL).exit_code == 0
    assert len(messages(redis_client)) == 1


def test_a_purge_cancels_what_waits_and_flags_what_is_on_its_way(dtmf: Dtmf, queues: Queues) -> None:
    for i in range(3):
        send(dtmf, f"t{i}")
    queues.take("run-1", ch=CH)
    done = dtmf("purge", "--yes", CHANNEL)
    assert done.exit_code == 0, done.stderr
    assert "2 tasks cancelled" in done.stdout
    assert "task t0 is in progress: it ends before its next digit" in done.stdout
    assert queues.waiting(CH) == ["t0"]
    assert queues.state("t1") == "cancelled"


def test_a_purge_of_a_task_that_was_sent_in_part_says_what_follows_from_it(dtmf: Dtmf, queues: Queues) -> None:
    send(dtmf, "t1")
    serve(queues, Verdict.OK, pause=500)
    assert "takes no new tasks for a while" in dtmf("purge", "--yes", CHANNEL).stdout
    refused = dtmf("send", "--channel", CHANNEL, "--job", "j", "1")
    assert "the channel's line was broken by task t1" in refused.stderr
    dtmf("resume", CHANNEL)
    send(dtmf, "t2")


def test_a_purge_that_nobody_can_be_asked_about_needs_yes(dtmf: Dtmf, redis_client: Redis) -> None:
    send(dtmf, "t1")
    done = dtmf("purge", CHANNEL, stdin="y\n")
    assert done.exit_code == 2
    assert "add --yes" in done.stderr
    assert queued(redis_client) == ["t1"]


def test_a_purge_of_an_idle_channel_is_no_fault(dtmf: Dtmf, redis_client: Redis) -> None:
    done = dtmf("purge", "--yes", CHANNEL)
    assert (done.exit_code, done.stdout) == (0, f"channel {CH}: 0 tasks cancelled\n")
    assert redis_client.keys() == []


def test_cancel_says_whether_it_was_in_time(dtmf: Dtmf, queues: Queues) -> None:
    for i in range(3):
        send(dtmf, f"t{i}", keys="1")
    step = queues.take("run-1", ch=CH)
    done = dtmf("cancel", "t1")
    assert (done.exit_code, done.stdout) == (0, "task t1 is cancelled\n")
    assert dtmf("cancel", "t1").stdout == "task t1 was cancelled before\n"
    done = dtmf("cancel", "t0")
    assert (done.exit_code, done.stdout) == (0, "task t0 is in progress: it ends before its next digit\n")
    queues.settle("run-1", step, Verdict.OK, ch=CH)
    done = dtmf("cancel", "t0")
    assert (done.exit_code, done.stdout) == (1, "too late: task t0 had ended as sent\n")
    assert eventually(lambda: queues.waiting(CH)) == ["t2"]


@pytest.mark.parametrize("words", [("channel", CHANNEL), ("channel", CHANNEL, "--json"), ("status", "t1")])
def test_personal_data_is_shown_on_a_terminal_alone(dtmf: Dtmf, words: tuple[str, ...]) -> None:
    send(dtmf, "t1")
    done = dtmf(*words, "--reveal")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "on a terminal only" in done.stderr
    assert not [marker for marker in PERSONAL if marker in done.stderr]


@pytest.mark.parametrize("channel", ["13188888888\x07", " 13188888888", "13188888888" * 30])
def test_what_is_no_channel_id_is_refused_and_not_shown(dtmf: Dtmf, channel: str) -> None:
    done = dtmf("channel", "-", stdin=channel)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "channel_id" in done.stderr
    assert "1318" not in done.stderr
