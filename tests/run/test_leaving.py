"""A run leaves: told to stop, its slice over, a long wait before it, or its channel taken by another."""

import threading
from collections.abc import Callable

import pytest

from tests.channel.desk import eventually, place
from tests.run.answers import GONE, LOST, THROTTLED, UNSENT, USED
from tests.run.stage import CH, CREDENTIALS, OK, Stage
from worker.ccc import Answer, ApiError, NotExecuted
from worker.channel.steps import Left, Verdict
from worker.lease import Run

SetUp = Callable[..., Stage]


def told_to_stop(stage: Stage, answer: Answer | ApiError) -> Callable[[], Answer | ApiError]:
    """The worker is told to stop while a digit is on its way, which is then answered like this."""

    def cue() -> Answer | ApiError:
        stage.stopping.set()
        return answer

    return cue


def successor(stage: Stage) -> None:
    """The run of another worker, which is not told to stop."""
    stage.stopping = threading.Event()
    stage.serve()


def test_a_worker_that_stops_passes_a_message_on(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.stopping.set()
    stage.serve()
    assert stage.published == [CH]
    assert stage.api.heard == []
    assert stage.desk.channel(CH) == {}


def test_a_worker_that_stops_finishes_the_digit_on_its_way_and_hands_over(stage: Stage) -> None:
    stage.enqueue("t1", "123")
    stage.api.cues = [OK, told_to_stop(stage, OK)]
    stage.serve()
    assert stage.api.keys == "12"
    assert stage.published == [CH]
    assert stage.is_free()
    assert "task" not in stage.desk.channel(CH)
    successor(stage)
    assert stage.api.keys == "123"
    assert stage.settled() == [("t1", "sent")]


def test_a_worker_that_stops_has_nothing_to_hand_over_after_the_last_digit(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.api.cues = [told_to_stop(stage, OK)]
    stage.serve()
    assert stage.published == []
    assert stage.settled() == [("t1", "sent")]


def test_a_worker_that_stops_leaves_an_unanswered_digit_to_its_successor(stage: Stage) -> None:
    stage.enqueue("t1", "12")
    stage.api.cues = [told_to_stop(stage, LOST)]
    stage.serve()
    assert stage.published == [CH]
    assert stage.is_free()
    assert stage.settled() == []
    stage.api.cues = [USED]
    successor(stage)
    assert stage.api.keys == "112"
    assert stage.api.nonces[0] == stage.api.nonces[1]
    assert stage.outcomes("t1") == ["presumed", "sent"]


def test_a_successor_does_not_presume_what_may_be_a_throttled_copys_nonce(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.api.cues = [LOST, told_to_stop(stage, THROTTLED)]
    stage.serve()
    stage.api.cues = [USED]
    successor(stage)
    assert stage.settled() == [("t1", "unknown")]


def test_a_worker_that_stops_does_not_sit_out_a_pause(stage: Stage) -> None:
    stage.enqueue("t1", "1w2")
    stage.api.cues = [told_to_stop(stage, OK)]
    stage.serve()
    assert stage.published == [CH]
    assert "d1" in stage.desk.task("t1")


def test_a_stop_wakes_a_run_that_waits(set_up: SetUp) -> None:
    stage = set_up({"step_wait": 50_000}, step=50.0)
    stage.enqueue("t1", "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW1", expires_in=100)
    with stage.serving() as run:
        eventually(lambda: "token" in stage.desk.channel(CH))
        stage.stopping.set()
        run.join(20)
        assert not run.is_alive()
    assert stage.published == [CH]


def test_a_busy_channel_is_handed_over_when_its_slice_is_over(set_up: SetUp) -> None:
    stage = set_up(slice=0.2)
    stage.enqueue("t1", "123")

    def slow() -> Answer:
        stage.passed(stage.api.heard[0].at + 0.3)
        return OK

    stage.api.cues = [OK, slow]
    stage.serve()
    assert stage.api.keys == "12"
    assert stage.published == [CH]
    assert stage.is_free()
    successor(stage)
    assert stage.api.keys == "123"


def test_every_slice_sends_a_digit(set_up: SetUp) -> None:
    """However short: else a channel would be handed from run to run for ever."""
    stage = set_up(slice=0.0)
    stage.enqueue("t1", "123")
    stage.desk.claim("dead", ch=CH)
    stage.desk.redis.hset(f"dtmf:ch:{CH}", mapping={"kid": stage.vault.kid, "ak": CREDENTIALS.fingerprint})
    stage.desk.lease_over(CH)
    stage.serve()
    assert stage.api.keys == "1"
    assert stage.published == [CH]


def test_an_unanswered_digit_does_not_outlast_the_slice_by_much(set_up: SetUp) -> None:
    """It keeps its mark; the sweeper brings the channel back when the pause is over."""
    stage = set_up(slice=0.05, step=1000.0)
    stage.enqueue("t1", expires_in=20)
    stage.api.cues = [LOST] * 1000
    stage.serve()
    assert stage.settled() == []
    assert stage.is_free()
    assert stage.desk.channel(CH)["task"] == "t1"
    stage.api.cues = [USED]
    assert eventually(lambda: stage.desk.sweep(10)) == [CH]
    stage.serve()
    assert stage.settled() == [("t1", "presumed")]


def test_a_long_pause_holds_no_slot(set_up: SetUp) -> None:
    stage = set_up({"step_wait": 100}, step=0.1)
    stage.enqueue("t1", "1WWW2")
    stage.serve()
    assert stage.api.keys == "1"
    assert stage.published == []
    assert stage.is_free()
    due = stage.desk.due(CH)
    assert due is not None
    assert due >= int(stage.desk.channel(CH)["not_before"])
    stage.desk.pause_over(CH)
    stage.serve()
    assert stage.api.keys == "12"


def test_a_long_back_off_holds_no_slot(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.api.cues = [NotExecuted("throttled", "Throttling.Api", 429, None, 30_000)]
    stage.serve()
    assert (stage.api.keys, stage.published, stage.is_free()) == ("1", [], True)
    stage.desk.pause_over(CH)
    stage.serve()
    assert stage.api.keys == "11"
    assert stage.settled() == [("t1", "sent")]


def test_a_long_back_off_of_an_unanswered_digit_holds_no_slot_and_forgets_nothing(stage: Stage) -> None:
    stage.enqueue("t1", expires_in=100)
    stage.api.cues = [LOST, NotExecuted("throttled", "Throttling.Api", 429, None, 30_000)]
    before = stage.desk.now()
    stage.serve()
    assert (stage.published, stage.is_free()) == ([], True)
    due = stage.desk.due(CH)
    assert due is not None
    assert due >= before + 30_000
    stage.api.cues = [USED]
    stage.serve()
    assert len(set(stage.api.nonces)) == 1
    assert stage.settled() == [("t1", "unknown")]


@pytest.mark.parametrize(("answer", "state"), [(GONE, "failed"), (THROTTLED, "sent")])
def test_a_connection_that_was_refused_leaves_no_doubt_behind(set_up: SetUp, answer: ApiError, state: str) -> None:
    """However long the API was away and whoever served the channel: no copy was written, so an answer counts."""
    stage = set_up(step=0.01)
    stage.enqueue("t1")
    stage.api.cues = [UNSENT, UNSENT, answer]
    for _ in range(4):
        stage.serve()
        stage.desk.pause_over(CH)
    assert stage.published == []
    assert stage.settled() == [("t1", state)]


def test_a_digit_that_never_found_a_connection_expires(set_up: SetUp) -> None:
    stage = set_up(step=0.01)
    stage.enqueue("t1")
    stage.api.cues = [UNSENT]
    stage.serve()
    stage.desk.deadline_over("t1")
    stage.serve()
    assert stage.settled() == [("t1", "expired")]
    assert stage.outcomes("t1") == ["not_sent"]


def test_a_back_off_does_not_outlast_the_deadline(stage: Stage) -> None:
    """The record of a task comes at its deadline, also if the API asked for a longer pause."""
    stage.enqueue("t1", expires_in=20)
    stage.api.cues = [LOST, NotExecuted("throttled", "Throttling.Api", 429, None, 60_000)]
    stage.serve()
    due = stage.desk.due(CH)
    assert due is not None
    assert due <= int(stage.desk.task("t1")["deadline"]) + 1000


def test_a_paused_channel_is_left(stage: Stage) -> None:
    stage.enqueue("t1", "12")

    def pause() -> Answer:
        stage.desk.queue.pause(CH)
        return OK

    stage.api.cues = [pause]
    stage.serve()
    assert (stage.api.keys, stage.published, stage.is_free()) == ("1", [], True)


@pytest.mark.parametrize("answer", [OK, GONE, THROTTLED, LOST])
def test_a_run_that_lost_its_channel_ends_without_a_trace(stage: Stage, answer: Answer | ApiError) -> None:
    stage.enqueue("t1", "12")
    stage.enqueue("t2", "3")

    def cue() -> Answer | ApiError:
        stage.replace_run()
        return answer

    stage.api.cues = [cue]
    stage.serve()
    assert set(stage.api.keys) == {"1"}
    assert stage.published == []
    assert stage.settled() == []
    assert stage.desk.channel(CH)["token"] == "another"
    step = stage.desk.claim("another", ch=CH)
    assert place(step) == ("t1", 1, 1)
    assert place(stage.desk.settle("another", step, Verdict.PRESUMED, ch=CH)) == ("t1", 2, 1)


def test_a_run_that_was_told_of_its_loss_sends_no_further_copy(stage: Stage) -> None:
    stage.enqueue("t1")

    def cue() -> ApiError:
        stage.replace_run()
        stage.heartbeat.beat()
        return LOST

    stage.api.cues = [cue]
    stage.serve()
    assert len(stage.api.heard) == 1


def test_a_run_that_stalled_between_digits_goes_on_if_nobody_took_its_channel(set_up: SetUp) -> None:
    """The heartbeat was told of a loss (the server was started again); the run's own claim then succeeds."""
    stage = set_up({"step_wait": 60_000}, step=60.0)
    stage.enqueue("t1", "1W2")

    def restart_soon() -> Answer:
        threading.Thread(target=restart_in_the_pause).start()
        return OK

    def restart_in_the_pause() -> None:
        eventually(lambda: "d1" in stage.desk.task("t1"))
        stage.desk.redis.hset(f"dtmf:ch:{CH}", "boot", "an-earlier-boot")

    stage.api.cues = [restart_soon]
    stage.serve()
    assert stage.api.keys == "12"
    assert stage.settled() == [("t1", "sent")]


def test_a_slow_answer_does_not_cost_a_run_its_channel(set_up: SetUp) -> None:
    stage = set_up({"lease": 600})
    stage.enqueue("t1", "12")
    leases: set[str] = set()

    def renewed_often() -> bool:
        leases.add(stage.desk.channel(CH)["lease_until"])
        return len(leases) >= 10

    def slow() -> Answer:
        eventually(renewed_often)
        return OK

    stage.api.cues = [slow]
    stage.serve()
    assert stage.desk.channel(CH)["epoch"] == "1"
    assert stage.settled() == [("t1", "sent")]


def test_a_run_that_hangs_longer_than_it_announced_loses_its_channel(set_up: SetUp) -> None:
    """Its process lives and its heartbeat beats; without a limit the channel would be stuck for ever."""
    stage = set_up({"lease": 300}, request=0.1, redis=0.1)
    stage.enqueue("t1")

    def hang() -> Answer:
        eventually(lambda: stage.desk.claim("another", ch=CH) is not Left.BUSY)
        return OK

    stage.api.cues = [hang]
    stage.serve()
    assert stage.settled() == []
    assert stage.desk.channel(CH)["token"] == "another"


def test_a_run_that_ended_is_no_longer_renewed(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.serve()
    assert len(stage.heartbeat) == 0
    run = Run(CH)
    with stage.heartbeat(run):
        assert len(stage.heartbeat) == 1
    assert len(stage.heartbeat) == 0
