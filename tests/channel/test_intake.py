"""The intake's two scripts: one holder at a time, and the step from a foreign list to the channel queues."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import OutOfMemoryError

from tests.channel.desk import CH, LONG_AGO, PAYLOAD, Desk
from worker.channel import intake
from worker.channel.intake import DeadLetter, IntakeQueue, Taken, TooLarge
from worker.channel.queue import NewTask
from worker.channel.server import connect
from worker.channel.steps import Verdict
from worker.local.redis import LocalRedis

LIST, LATER_LIST = "dtmf", "dtmf\x06\x163"
A, B = "token-of-a", "token-of-b"
Content = NewTask | DeadLetter


class Intakes:
    """The foreign list and those that want to be the intake, on a desk."""

    def __init__(self, desk: Desk, client: Redis) -> None:
        self.desk, self.redis = desk, desk.redis
        self._client = client
        self.a, self.b = self.one("a"), self.one("b")

    def one(self, worker: str) -> IntakeQueue:
        return IntakeQueue(self._client, self.desk.limits, worker)

    def put(self, *raws: str | bytes, name: str = LIST) -> None:
        self.redis.lpush(name, *raws)

    def listed(self, name: str = LIST) -> list[str]:
        """What stands there, in the order in which it is to be taken."""
        return list(reversed(self.redis.lrange(name, 0, -1)))

    def look(self, most: int) -> tuple[str, list[str | TooLarge]] | None:
        return self.a.look([LIST, LATER_LIST], most, 1000)

    def take(self, *messages: tuple[str | TooLarge, Content], token: str = A, publish: int = 100) -> Taken | None:
        return self.a.take(token, LIST, messages, publish=publish)

    def holder(self) -> dict[str, str]:
        found: dict[str, str] = self.redis.hgetall("dtmf:intake")
        return found

    def lease_over(self) -> None:
        self.redis.hset("dtmf:intake", "lease_until", LONG_AGO)

    def refusals(self) -> list[tuple[str, list[Any]]]:
        entries = self.redis.xrange("dtmf:refusals")
        return [(fields["id"], json.loads(fields["refusal"])) for _, fields in entries]

    def dead(self) -> list[dict[str, Any]]:
        """The dead letters, the oldest first."""
        return [json.loads(letter) for letter in reversed(self.redis.lrange("dtmf:dead", 0, -1))]

    def everything(self) -> dict[str, Any]:
        """All that the server holds; the intake's lease aside."""
        return {key: self.redis.dump(key) for key in self.redis.scan_iter() if key != "dtmf:intake"}


@pytest.fixture
def intakes(desk: Desk, redis_server: LocalRedis) -> Iterator[Intakes]:
    """Two that want to be the intake, through a client that lets any byte through, as a worker's does."""
    client = connect(redis_server.url, timeout=5, encoding_errors="surrogateescape")
    yield Intakes(desk, client)
    client.close()


def task(task_id: str, *, ch: str = CH, expires_in: int = 60_000, deadline: int = 0, go_on: bool = False) -> NewTask:
    return NewTask(task_id, ch, 1, 0, expires_in, deadline, go_on, PAYLOAD)


def letter(number: str, *, task_id: str | None = None, problem: str = "not JSON") -> DeadLetter:
    return DeadLetter(number, f"encrypted-{number}", problem, task_id)


# Who is the intake


def test_one_holds_the_intake_and_others_stand_by(intakes: Intakes) -> None:
    assert intakes.a.hold(A)
    assert not intakes.b.hold(B)
    assert intakes.a.hold(A)
    assert intakes.holder()["worker"] == "a"


def test_holding_on_renews_the_lease(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.lease_over()
    assert intakes.a.hold(A)
    left = int(intakes.holder()["lease_until"]) - intakes.desk.now()
    assert 0 < left <= intakes.desk.limits.lease


def test_taking_messages_renews_the_lease_too(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.lease_over()
    assert intakes.take() == Taken(0, [])
    assert not intakes.b.hold(B)


def test_another_takes_over_when_the_lease_is_over(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.lease_over()
    assert intakes.b.hold(B)
    assert not intakes.a.hold(A)
    assert intakes.holder()["worker"] == "b"


def test_another_takes_over_at_once_after_a_restart_of_the_server(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.redis.hset("dtmf:intake", "boot", "an-earlier-boot")
    assert intakes.b.hold(B)


def test_who_lets_go_leaves_it_to_another_at_once(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.a.let_go(A)
    assert intakes.holder() == {}
    assert intakes.b.hold(B)


def test_only_the_holder_can_let_go(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.b.let_go(B)
    assert not intakes.b.hold(B)


# From the list to the channel queues


def test_messages_are_enqueued_in_the_order_of_their_list_and_taken_off(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.put("m1", "m2", "m3")
    taken = intakes.take(("m1", task("t1")), ("m2", task("t2")), ("m3", task("t3")))
    assert taken == Taken(3, [CH])
    assert intakes.desk.waiting() == ["t1", "t2", "t3"]
    assert intakes.desk.queue.payloads(["t1"]) == [PAYLOAD]
    assert intakes.listed() == []


def test_who_is_not_the_intake_changes_nothing(intakes: Intakes) -> None:
    intakes.put("m1", "m2")
    assert intakes.take(("m1", task("t1"))) is None
    intakes.a.hold(A)
    intakes.lease_over()
    intakes.b.hold(B)
    before = intakes.everything()
    assert intakes.take(("m1", task("t1")), ("m2", letter("n1", task_id="t2"))) is None
    assert intakes.everything() == before
    assert intakes.holder()["worker"] == "b"


def test_it_stops_at_the_first_message_that_is_not_the_one_that_was_read(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.put("m1", "another", "m3")
    taken = intakes.take(("m1", task("t1")), ("m2", task("t2")), ("m3", task("t3")))
    assert taken == Taken(1, [CH])
    assert intakes.desk.waiting() == ["t1"]
    assert intakes.listed() == ["another", "m3"]


def test_what_was_taken_before_is_not_taken_again(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.put("m1")
    assert intakes.take(("m1", task("t1"))) == Taken(1, [CH])
    assert intakes.take(("m1", task("t1"))) == Taken(0, [])
    assert intakes.desk.waiting() == ["t1"]


def test_of_two_equal_messages_each_is_taken_off_and_one_task_is_enqueued(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.put("m1", "m1")
    assert intakes.take(("m1", task("t1")), ("m1", task("t1"))) == Taken(2, [CH])
    assert (intakes.desk.waiting(), intakes.listed(), intakes.refusals()) == (["t1"], [], [])


def test_bytes_that_are_no_text_are_told_apart_and_taken_off(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.put(b"\xff\xfe", b"\xff\xfd", b"\xed\xa0\x80", b"")
    found = intakes.look(10)
    assert found
    assert len(set(found[1])) == 4
    taken = intakes.take(*((raw, letter(f"n{i}")) for i, raw in enumerate(found[1])))
    assert taken == Taken(4, [])
    assert intakes.listed() == []


def test_a_look_leaves_everything_where_it_is(intakes: Intakes) -> None:
    intakes.put("m1", "m2", "m3")
    intakes.put("later", name=LATER_LIST)
    assert intakes.look(2) == (LIST, ["m1", "m2"])
    assert intakes.look(9) == (LIST, ["m1", "m2", "m3"])
    assert intakes.listed() == ["m1", "m2", "m3"]
    intakes.redis.delete(LIST)
    assert intakes.look(2) == (LATER_LIST, ["later"])
    intakes.redis.delete(LATER_LIST)
    assert intakes.look(2) is None


def test_a_message_that_is_too_large_is_not_fetched_and_is_taken_off_all_the_same(intakes: Intakes) -> None:
    intakes.a.hold(A)
    huge = "x" * 5_000_000
    intakes.put(huge, "m2", huge)
    found = intakes.look(10)
    assert found
    first, second, third = found[1]
    assert isinstance(first, TooLarge)
    assert (first, second, first.size) == (third, "m2", len(huge))
    told = ((first, letter("n1")), ("m2", task("t2")), (third, letter("n3")))
    assert intakes.take(*told) == Taken(3, [CH])
    assert intakes.listed() == []


def test_with_a_full_memory_messages_wait(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.put("m1")
    intakes.redis.config_set("maxmemory", "1")
    try:
        with pytest.raises(OutOfMemoryError):
            intakes.take(("m1", task("t1")))
        # Standing by and letting go need no room.
        assert intakes.a.hold(A)
    finally:
        intakes.redis.config_set("maxmemory", "0")
    assert (intakes.desk.waiting(), intakes.listed()) == ([], ["m1"])
    assert intakes.take(("m1", task("t1"))) == Taken(1, [CH])


# Channels to publish


def test_a_channel_that_a_run_serves_needs_no_message(intakes: Intakes) -> None:
    intakes.desk.enqueue("t0")
    intakes.desk.take("r1")
    intakes.a.hold(A)
    intakes.put("m1")
    assert intakes.take(("m1", task("t1"))) == Taken(1, [])


def test_of_more_channels_than_are_to_be_published_the_rest_is_due_now(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.put(*(f"m{i}" for i in range(4)))
    channels = [f"{i}" * 32 for i in range(4)]
    told = ((f"m{i}", task(f"t{i}", ch=channels[i])) for i in range(4))
    assert intakes.take(*told, publish=2) == Taken(4, channels[:2])
    now = intakes.desk.now()
    due = [intakes.desk.due(ch) for ch in channels]
    assert [moment is not None and moment <= now for moment in due] == [False, False, True, True]
    assert sorted(intakes.desk.sweep(10)) == channels[2:]


# What is refused


def test_a_refusal_stands_in_the_stream_with_its_answer(intakes: Intakes) -> None:
    desk = intakes.desk
    desk.enqueue("breaker")
    desk.settle("r1", desk.take("r1"), Verdict.FAILED, error="Rejected", code="InvalidParameter")
    intakes.a.hold(A)
    intakes.put("m1", "m2", "m3")
    late, goes_on = task("late", expires_in=60_000, deadline=LONG_AGO), task("goes-on", go_on=True)
    assert intakes.take(("m1", task("behind")), ("m2", late), ("m3", goes_on)) == Taken(3, [CH])
    (behind, broken), (expired, why) = intakes.refusals()
    assert (behind, broken[:3]) == ("behind", ["BROKEN", "breaker", "InvalidParameter"])
    assert 0 < broken[3] <= desk.limits.break_
    assert (expired, why) == ("late", ["EXPIRED"])
    assert desk.waiting() == ["goes-on"]
    assert desk.task("behind") == {}


@pytest.mark.parametrize(
    ("limits", "refusal"), [({"channel_limit": 1}, "CHANNEL_FULL"), ({"system_limit": 1}, "SYSTEM_FULL")]
)
def test_a_full_queue_refuses_what_comes_after(intakes: Intakes, limits: dict[str, int], refusal: str) -> None:
    full = Intakes(Desk(intakes.redis, **limits), intakes._client)
    full.a.hold(A)
    full.put("m1", "m2")
    assert full.take(("m1", task("t1")), ("m2", task("t2"))) == Taken(2, [CH])
    assert full.refusals() == [("t2", [refusal, 1])]
    assert full.desk.waiting() == ["t1"]


def test_refusals_are_kept_as_long_as_records(intakes: Intakes) -> None:
    old = intakes.desk.now() - intakes.desk.limits.record_ttl - 3_600_000
    for i in range(500):
        intakes.redis.xadd("dtmf:refusals", {"id": f"old-{i}", "refusal": "[]"}, id=f"{old}-{i}")
    intakes.a.hold(A)
    intakes.put("m1")
    intakes.take(("m1", task("late", deadline=LONG_AGO)))
    # Whole nodes of the stream go, so some may be left.
    assert intakes.refusals()[-1] == ("late", ["EXPIRED"])
    assert len(intakes.refusals()) < 200


@pytest.mark.parametrize("state", ["waiting", "being sent", "recorded"])
def test_a_known_id_is_neither_refused_nor_overwritten(intakes: Intakes, state: str) -> None:
    desk = intakes.desk
    desk.enqueue("t1", n=2)
    if state != "waiting":
        step = desk.take("r1")
    if state == "recorded":
        desk.settle("r1", step, Verdict.FAILED, error="Rejected", code="InvalidParameter")
    intakes.a.hold(A)
    intakes.put("m1", "m2")
    before = intakes.everything()
    other = NewTask("t1", "d" * 32, 9, 0, 60_000, 0, go_on=False, payload="another payload")
    assert intakes.take(("m1", other), ("m2", letter("n1", task_id="t1"))) == Taken(2, [])
    assert intakes.refusals() == []
    after = intakes.everything()
    assert {key: after[key] for key in before if key != LIST} == {key: before[key] for key in before if key != LIST}
    assert set(after) - set(before) == {"dtmf:dead", "dtmf:dead:count"}


# Dead letters


def test_a_dead_letter_is_kept_counted_and_its_task_refused(intakes: Intakes) -> None:
    intakes.a.hold(A)
    intakes.put("m1", "m2", "m3")
    taken = intakes.take(
        ("m1", letter("n1")), ("m2", task("t2")), ("m3", letter("n3", task_id="t3", problem="dtmf: empty"))
    )
    assert taken == Taken(3, [CH])
    first, second = intakes.dead()
    at = first.pop("at")
    assert abs(intakes.desk.now() - at) < 60_000
    assert first == {"number": "n1", "letter": "encrypted-n1", "problem": "not JSON"}
    assert (second["number"], second["id"], second["problem"]) == ("n3", "t3", "dtmf: empty")
    assert intakes.refusals() == [("t3", ["MALFORMED", "dtmf: empty"])]
    assert intakes.redis.get("dtmf:dead:count") == "2"
    assert intakes.desk.waiting() == ["t2"]


def test_so_many_dead_letters_are_kept_and_all_are_counted(intakes: Intakes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "DEAD_LIMIT", 3)
    limited = Intakes(intakes.desk, intakes._client)
    limited.a.hold(A)
    limited.put(*(f"m{i}" for i in range(5)))
    limited.take(*((f"m{i}", letter(f"n{i}")) for i in range(5)))
    assert [one["number"] for one in limited.dead()] == ["n2", "n3", "n4"]
    assert limited.redis.get("dtmf:dead:count") == "5"


def test_the_message_itself_stands_nowhere_once_it_is_taken(intakes: Intakes) -> None:
    intakes.a.hold(A)
    raws = ["geheim-4711", "geheim-4712"]
    intakes.put(*raws)
    intakes.take((raws[0], task("t1")), (raws[1], letter("n1", task_id="t2")))
    held = [value for value in intakes.everything().values() if b"geheim" in value]
    assert held == []
