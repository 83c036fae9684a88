"""Redis loses a call, or the answer to one, while a run holds what only it knows."""

from collections.abc import Callable

import pytest

from tests.run.answers import GONE, LOST, THROTTLED, USED
from tests.run.stage import CH, OK, Stage
from worker.ccc import Answer, ApiError

WHEN = ["before", "after"]
SetUp = Callable[..., Stage]


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("digit", [1, 2, 3])
def test_a_sent_digit_stays_sent_though_the_servers_answer_was_lost(stage: Stage, when: str, digit: int) -> None:
    """First, middle and last digit: heard once, recorded as sent, and the digits behind it follow."""
    stage.enqueue("t1", "123")
    stage.enqueue("t2", "4")

    def fault() -> Answer:
        stage.queue.faults.append(("settle", when))
        return OK

    stage.api.cues = [*([OK] * (digit - 1)), fault]
    stage.serve()
    assert stage.api.keys == "1234"
    assert stage.settled() == [("t1", "sent"), ("t2", "sent")]
    assert stage.outcomes("t1") == ["sent", "sent", "sent"]


@pytest.mark.parametrize("when", WHEN)
def test_answers_lost_again_and_again_change_nothing(stage: Stage, when: str) -> None:
    stage.enqueue("t1", "12")
    stage.queue.faults = [("settle", when), ("settle", when), ("settle", "before")]
    stage.serve()
    assert stage.api.keys == "12"
    assert stage.settled() == [("t1", "sent")]


@pytest.mark.parametrize("when", WHEN)
def test_a_refusal_is_kept(stage: Stage, when: str) -> None:
    stage.enqueue("t1", "12")
    stage.enqueue("t2", "3")
    stage.api.cues = [GONE]
    stage.queue.faults = [("settle", when)]
    stage.serve()
    assert stage.settled() == [("t1", "failed"), ("t2", "cancelled")]


@pytest.mark.parametrize(("answer", "state"), [(OK, "sent"), (USED, "presumed"), (GONE, "unknown")])
def test_what_a_run_knows_of_its_digit_outlives_a_restart_of_the_server(
    stage: Stage, answer: Answer | ApiError, state: str
) -> None:
    """Sent again, a refused digit's burnt nonce would pass for a digit that was heard."""
    stage.enqueue("t1")

    def restart() -> Answer | ApiError:
        stage.desk.restarted()
        stage.queue.faults = [("settle", "before")]
        return answer

    stage.api.cues = [restart]
    stage.serve()
    assert len(stage.api.heard) == 1
    assert stage.settled() == [("t1", state)]


@pytest.mark.parametrize("script", ["claim", "settle"])
def test_an_answer_that_came_slowly_has_used_up_the_deadline(stage: Stage, script: str) -> None:
    """The time that the server names counts from before it was asked."""
    stage.enqueue("t1", "12", expires_in=0.5)
    stage.queue.slow = {script: 0.7}
    stage.serve()
    assert stage.api.keys == ("" if script == "claim" else "1")
    assert stage.settled() == [("t1", "expired")]


@pytest.mark.parametrize("when", WHEN)
def test_a_throttled_digit_is_tried_anew_once(stage: Stage, when: str) -> None:
    stage.enqueue("t1")
    stage.api.cues = [THROTTLED]
    stage.queue.faults = [("settle", when)]
    stage.serve()
    assert stage.api.keys == "11"
    assert stage.desk.record("t1").digits[0].attempts == 2
    assert stage.settled() == [("t1", "sent")]


@pytest.mark.parametrize("when", WHEN)
def test_the_claim_that_follows_may_be_lost_as_well(stage: Stage, when: str) -> None:
    stage.enqueue("t1", "12")

    def fault() -> Answer:
        stage.queue.faults = [("settle", "after"), ("claim", when)]
        return OK

    stage.api.cues = [fault]
    stage.serve()
    assert stage.api.keys == "12"
    assert stage.settled() == [("t1", "sent")]


@pytest.mark.parametrize("when", WHEN)
def test_a_claim_after_a_wait_may_be_lost(stage: Stage, when: str) -> None:
    stage.enqueue("t1", "1w2")

    def fault() -> Answer:
        stage.queue.faults = [("claim", when)]
        return OK

    stage.api.cues = [fault]
    stage.serve()
    assert stage.api.keys == "12"
    assert stage.settled() == [("t1", "sent")]


@pytest.mark.parametrize("when", WHEN)
def test_a_worker_that_stops_still_hands_its_channel_over(stage: Stage, when: str) -> None:
    stage.enqueue("t1", "12")

    def stop() -> Answer:
        stage.stopping.set()
        stage.queue.faults = [("settle", when)]
        return OK

    stage.api.cues = [stop]
    stage.serve()
    assert stage.api.keys == "1"
    assert stage.published == [CH]
    assert stage.is_free()


@pytest.mark.parametrize("when", WHEN)
def test_a_worker_that_stops_hands_over_an_unanswered_digit_too(stage: Stage, when: str) -> None:
    """At once, not when the sweeper comes by."""
    stage.enqueue("t1")

    def stop() -> ApiError:
        stage.stopping.set()
        stage.queue.faults = [("release", when)]
        return LOST

    stage.api.cues = [stop]
    stage.serve()
    assert stage.published == [CH]
    assert stage.is_free()


def test_a_run_whose_channel_was_taken_during_the_outage_ends_without_a_trace(stage: Stage) -> None:
    stage.enqueue("t1", "12")

    def fault() -> Answer:
        stage.queue.faults = [("settle", "before")]
        stage.replace_run()
        return OK

    stage.api.cues = [fault]
    stage.serve()
    assert stage.api.keys == "1"
    assert stage.settled() == []
    assert stage.published == []
    assert stage.desk.channel(CH)["token"] == "another"


def test_an_outage_longer_than_a_runs_patience_leaves_the_digit_to_a_successor(set_up: SetUp) -> None:
    stage = set_up(outage=0.5)
    stage.enqueue("t1", "12")
    stage.queue.faults = [("settle", "before")] * 1000
    stage.serve()
    assert stage.settled() == []
    assert stage.published == []
    stage.queue.faults = []
    stage.desk.lease_over(CH)
    stage.api.cues = [USED]
    stage.serve()
    assert stage.api.nonces[0] == stage.api.nonces[1]
    assert stage.outcomes("t1") == ["presumed", "sent"]


def test_a_worker_that_stops_has_less_patience(set_up: SetUp) -> None:
    stage = set_up(outage=100.0, farewell=0.3)
    stage.enqueue("t1", "12")

    def stop() -> Answer:
        stage.stopping.set()
        return OK

    stage.api.cues = [stop]
    stage.queue.faults = [("settle", "before")] * 10_000
    stage.serve()
    assert stage.settled() == []


def test_a_digit_handed_out_in_a_lost_answer_is_sent_in_doubt(stage: Stage) -> None:
    """The answer that was lost held the next digit; nobody sent it, but the run cannot tell."""
    stage.enqueue("t1", "12")
    stage.queue.faults = [("settle", "after")]
    stage.api.cues = [OK, GONE]
    stage.serve()
    assert stage.api.keys == "12"
    assert stage.outcomes("t1") == ["sent", "unknown"]


@pytest.mark.parametrize("when", WHEN)
def test_a_message_that_comes_during_an_outage_is_left_to_the_sweeper(stage: Stage, when: str) -> None:
    """No error for every message: what waits is found when Redis is back."""
    stage.enqueue("t1")
    stage.queue.faults = [("claim", when)]
    stage.serve()
    assert stage.api.heard == []
    if not stage.is_free():
        stage.desk.lease_over(CH)
    stage.desk.sweep_due(CH)
    assert stage.desk.sweep(10) == [CH]
    stage.serve()
    assert stage.settled() == [("t1", "sent")]
