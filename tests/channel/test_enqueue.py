"""enqueue: what a producer is told at the door, and that a refusal leaves nothing behind."""

from typing import Any

import pytest
from redis import Redis

from tests.channel.desk import CH, Desk
from worker.channel.queue import NewTask
from worker.channel.steps import Verdict
from worker.record import Record


def all_keys(desk: Desk) -> set[str]:
    return set(desk.redis.keys("*"))


def test_first_task_of_an_idle_channel_asks_for_a_message(desk: Desk) -> None:
    assert desk.enqueue("t1") == ["PUBLISH"]


def test_a_task_behind_another_asks_for_none(desk: Desk) -> None:
    desk.enqueue("t1")
    assert desk.enqueue("t2") == ["QUEUED"]


def test_tasks_wait_in_the_order_in_which_they_were_enqueued(desk: Desk) -> None:
    ids = [f"t{i}" for i in range(9, 0, -1)]
    for task in ids:
        desk.enqueue(task)
    assert desk.waiting() == ids


def test_every_channel_has_a_queue_of_its_own(desk: Desk) -> None:
    assert desk.enqueue("t1", ch="a") == ["PUBLISH"]
    assert desk.enqueue("t2", ch="b") == ["PUBLISH"]
    assert (desk.waiting("a"), desk.waiting("b")) == (["t1"], ["t2"])


def test_no_message_while_a_run_is_on(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.take("r1")
    assert desk.enqueue("t2") == ["QUEUED"]


def test_a_message_once_the_run_that_emptied_the_channel_has_left(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.settle("r1", desk.take("r1"), Verdict.OK)
    assert desk.enqueue("t2") == ["PUBLISH"]


def test_the_sweeper_is_told_of_the_channel_within_a_second(desk: Desk) -> None:
    before = desk.now()
    desk.enqueue("t1")
    due = desk.due()
    assert due is not None
    assert before + 1000 <= due <= desk.now() + 1000


def test_a_second_task_does_not_put_off_the_sweeper(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.redis.zadd("dtmf:due", {CH: 5})
    desk.enqueue("t2")
    assert desk.due() == 5


def test_a_lost_message_is_noticed_soon_whatever_the_channel_waited_for_before(desk: Desk) -> None:
    """A paused channel is due at its head's deadline; that head is cancelled, the pause ends, a task comes."""
    desk.queue.pause(CH)
    desk.enqueue("t1", expires_in=3_600_000)
    desk.claim("r1")
    desk.queue.cancel("t1")
    desk.queue.resume(CH)
    assert desk.enqueue("t2") == ["PUBLISH"]
    due = desk.due()
    assert due is not None
    assert due <= desk.now() + 1000


def test_the_same_id_twice_is_one_task(desk: Desk) -> None:
    desk.enqueue("t1", n=3)
    before = desk.task("t1")
    assert desk.enqueue("t1", n=1) == ["KNOWN", "queued"]
    assert desk.enqueue("t1", ch="another-channel") == ["KNOWN", "queued"]
    assert desk.task("t1") == before
    assert desk.waiting() == ["t1"]
    assert desk.counted() == 1


def test_an_id_in_progress_or_ended_is_known(desk: Desk) -> None:
    desk.enqueue("t1")
    step = desk.take("r1")
    assert desk.enqueue("t1") == ["KNOWN", "sending"]
    desk.settle("r1", step, Verdict.OK)
    assert desk.enqueue("t1") == ["KNOWN", "sent"]
    assert desk.waiting() == []


def test_a_full_channel_refuses_and_another_does_not(redis_client: Redis) -> None:
    desk = Desk(redis_client, channel_limit=2)
    desk.enqueue("t1")
    desk.enqueue("t2")
    before = all_keys(desk)
    assert desk.enqueue("t3") == ["CHANNEL_FULL", 2]
    assert all_keys(desk) == before
    assert desk.enqueue("t4", ch="another") == ["PUBLISH"]


def test_a_full_system_refuses_until_a_task_has_ended(redis_client: Redis) -> None:
    desk = Desk(redis_client, system_limit=2)
    desk.enqueue("t1", ch="a")
    desk.enqueue("t2", ch="b")
    assert desk.enqueue("t3", ch="c") == ["SYSTEM_FULL", 2]
    desk.settle("r1", desk.take("r1", ch="a"), Verdict.OK, ch="a")
    assert desk.enqueue("t3", ch="c") == ["PUBLISH"]


@pytest.mark.parametrize("how", ["sent", "failed", "cancelled", "expired", "line broken"])
def test_the_count_of_waiting_tasks_returns_to_nothing(desk: Desk, how: str) -> None:
    desk.enqueue("t1")
    desk.enqueue("t2")
    match how:
        case "sent":
            step = desk.take("r1")
            desk.settle("r1", desk.settle("r1", step, Verdict.OK), Verdict.OK)
        case "failed" | "line broken":
            desk.settle("r1", desk.take("r1"), Verdict.FAILED, error="Rejected", code="X")
        case "cancelled":
            desk.queue.cancel("t2")
            desk.queue.cancel("t1")
        case _:
            desk.deadline_over("t1")
            desk.claim("r1")
    assert desk.counted() == 0
    assert len(desk.stream()) == 2


@pytest.mark.parametrize(
    ("ask", "left"),
    [
        ({"expires_in": 5000}, 5000),
        ({"expires_in": 5000, "deadline": 60_000}, 5000),
        ({"expires_in": 60_000, "deadline": 5000}, 5000),
    ],
    ids=["relative", "relative is earlier", "absolute is earlier"],
)
def test_the_earliest_deadline_counts(desk: Desk, ask: dict[str, Any], left: int) -> None:
    before = desk.now()
    if "deadline" in ask:
        ask = {**ask, "deadline": before + ask["deadline"]}
    desk.enqueue("t1", **ask)
    assert before + left <= int(desk.task("t1")["deadline"]) <= desk.now() + left


@pytest.mark.parametrize("ask", [{"deadline": 1_000_000}, {"expires_in": 0}], ids=["absolute", "relative"])
def test_a_deadline_that_has_passed_is_refused(desk: Desk, ask: dict[str, Any]) -> None:
    assert desk.enqueue("t1", **ask) == ["EXPIRED"]
    assert all_keys(desk) == set()


def test_status_follows_a_task_from_the_queue_to_its_record(desk: Desk) -> None:
    assert desk.queue.status("t2") == ["NONE"]
    desk.enqueue("t1")
    desk.enqueue("t2", n=2, expires_in=40_000)
    state, ch, n, settled, _, deadline, left, ahead = desk.queue.status("t2")
    assert (state, ch, n, settled, ahead) == ("queued", CH, 2, 0, 1)
    assert left <= 40_000
    assert deadline == int(desk.task("t2")["deadline"])
    step = desk.settle("r1", desk.take("r1"), Verdict.OK)
    step = desk.settle("r1", step, Verdict.OK, answer="encrypted-1")
    assert desk.queue.status("t2")[:4] == ["sending", CH, 2, 1]
    desk.settle("r1", step, Verdict.OK, answer="encrypted-2")
    word, record, answer = desk.queue.status("t2")
    assert (word, answer) == ("RECORDED", "encrypted-2")
    assert Record.model_validate_json(record) == desk.record("t2")


@pytest.mark.parametrize("instance", [None, "ccc-test"])
def test_a_record_names_the_instance_that_the_task_named(desk: Desk, instance: str | None) -> None:
    desk.queue.enqueue(NewTask("t1", CH, 1, 0, 60_000, 0, go_on=False, payload="encrypted", instance_id=instance))
    desk.queue.cancel("t1")
    assert desk.record("t1").instance_id == instance


def test_a_task_that_waits_is_kept_compactly(desk: Desk) -> None:
    """Beside a value of more than 64 bytes a server gives up the compact form, and 9 short fields take a kilobyte."""
    desk.queue.enqueue(NewTask("t1", CH, 1, 0, 60_000, 0, go_on=False, payload="encrypted" * 50, instance_id="i" * 36))
    assert desk.redis.object("encoding", "dtmf:t:t1") == "listpack"
