"""What broke in the idea as first written (docs/protocol.md), V1 to V13, against the real code."""

import pytest

from tests.enumerate import acts as do
from tests.enumerate.cases import Play
from tests.enumerate.scenes import THROTTLE, Scene
from tests.enumerate.stories import Story, task
from tests.enumerate.watch import HOLD_MS
from tests.enumerate.world import World
from worker.record import Outcome
from worker.simulator.scene import Drop, Error, Match, Rule

LOST_ANSWER = Rule(match=Match(requests=1), drop=Drop(when="after"))
THROTTLED_NEXT = Rule(match=Match(requests=2), throttle=THROTTLE)
BURNS = pytest.mark.parametrize("burns", [True, False], ids=["a refusal burns the nonce", "a refusal burns nothing"])


@BURNS
def test_v1_a_resend_that_is_throttled_gets_no_new_nonce(world: World, burns: bool) -> None:
    story = Story(world, LOST_ANSWER, THROTTLED_NEXT, burn=burns).play([task("t1", "12")], {})
    assert story.heard == "1"
    assert story.states() == {"t1": "unknown"}
    assert story.record("t1").digits[0].attempts == 1


@BURNS
def test_v2_a_throttled_run_and_its_successor_never_press_twice(world: World, burns: bool) -> None:
    play = Play(world)
    play.two_acts(Scene((1, 1), "throttled", 1, burns), do.SLEEP, do.WAKE)
    assert play.tally.cases > 100
    assert not play.tally.broken, play.tally.story


def test_v3_a_late_copy_within_the_hold_is_heard_before_the_next_task(world: World) -> None:
    silent = Rule(match=Match(requests=(1, 3)), drop=Drop(when="before"))
    tasks = [task("t1", "1", expires_in=2), task("t2", "2", on_failure="continue")]
    story = Story(world, silent).play(tasks, {("run1", "request", 1): do.SLEEP, ("run2", "settle done", 1): do.WAKE})
    assert story.states() == {"t1": "unknown", "t2": "sent"}
    assert story.heard in {"2", "12"}
    assert story.ms >= HOLD_MS


@BURNS
def test_v3_a_run_that_slept_for_longer_than_the_hold_asks_before_it_writes(world: World, burns: bool) -> None:
    """Its task was given up before its deadline, the hold is over, and a later digit was heard."""
    internal = Rule(match=Match(requests=1), error=Error(code="InternalError"))
    tasks = [task("t1", "1"), task("t2", "2", on_failure="continue")]
    story = Story(world, internal, burn=burns).play(tasks, {("run1", "claim done", 1): do.SLEEP})
    assert story.heard == "2"
    assert story.states() == {"t1": "unknown", "t2": "sent"}
    assert story.limits == {}


def test_v4_a_copy_that_outlived_the_memory_of_nonces_is_refused_for_its_age(world: World) -> None:
    story = Story(world, nonce_memory=60, timestamp_window=30)
    world.reset(story._scene, {("run1", "answer", 1): do.STOP})
    world.produce([task("t1", "1", expires_in=600)])
    while world.actors[-1].at != "answer":
        world.step_next()
    world.pass_time(world.now_ms + 90_000)
    story.finish()
    assert story.heard == "1"
    assert story.states() == {"t1": "unknown"}


def test_v5_a_digit_without_an_answer_at_its_deadline_is_unknown(world: World) -> None:
    silent = Rule(match=Match(requests=(2, None)), drop=Drop(when="before"))
    story = Story(world, LOST_ANSWER, silent).play([task("t1", "12", expires_in=2)], {})
    assert story.heard == "1"
    assert story.states() == {"t1": "unknown"}
    assert [digit.outcome for digit in story.record("t1").digits] == [Outcome.UNKNOWN, Outcome.NOT_SENT]


def test_v6_an_error_to_a_resend_settles_only_that_copy(world: World) -> None:
    story = Story(world, LOST_ANSWER)
    keys_expire = do.Do("keys expire", lambda world: world.api.service.gateway.accounts.clear())
    story.play([task("t1", "12")], {("run1", "answer", 1): keys_expire})
    assert story.heard == "1"
    assert story.states() == {"t1": "unknown"}
    assert story.record("t1").code == "InvalidAccessKeyId.NotFound"


def test_v8_a_task_that_comes_just_after_the_line_broke_is_refused(world: World) -> None:
    rejected = Rule(match=Match(requests=1), error=Error(code="InvalidParameter"))
    late = do.enqueue("t2", dtmf="2")
    for label in ("settle done", "claim done"):
        story = Story(world, rejected).play([task("t1", "1")], {("run1", label, 1): late})
        assert story.heard == ""
        assert story.states()["t1"] == "failed"
        assert world.refused.get("t2") == "ChannelBroken" or story.states()["t2"] == "cancelled"


@pytest.mark.parametrize("label", ["request", "answer", "settle asked"])
def test_v9_cancel_leaves_a_digit_that_is_on_its_way_in_its_place(world: World, label: str) -> None:
    tasks = [task("t1", "12"), task("t2", "3", on_failure="continue")]
    story = Story(world).play(tasks, {("run1", label, 1): do.cancel("t1")})
    assert world.asked[0].answer == ["REQUESTED"]
    assert story.heard == "13"
    assert [digit.outcome for digit in story.record("t1").digits] == [Outcome.SENT, Outcome.NOT_SENT]
    assert story.states() == {"t1": "cancelled", "t2": "sent"}


def test_v10_a_run_that_slept_before_its_last_look_at_the_clock_sends_nothing_late(world: World) -> None:
    story = Story(world)
    world.reset(story._scene, {("run1", "claim done", 1): do.SLEEP})
    world.produce([task("t1", "1", expires_in=2)])
    while not world.sleepers:
        world.step_next()
    world.pass_time(world.now_ms + 3000)
    do.WAKE(world)
    story.finish()
    assert story.heard == ""
    assert story.states() == {"t1": "expired"}


def test_v11_a_channel_whose_worker_is_told_to_stop_goes_on_at_once(world: World) -> None:
    scene = Scene((2, 1))
    world.reset()
    scene.set_up(world)
    world.go_on()
    for moment in range(1, world.moments + 1):
        world.reset(scene.for_simulator(), {moment: do.LEAVE})
        scene.set_up(world)
        world.go_on()
        assert (world.api.heard, world.passed_ms) == ("123", 0), f"told to stop at moment {moment}"


def test_v12_the_message_of_a_task_that_was_cancelled_serves_the_next_one(world: World) -> None:
    tasks = [task("t1", "1"), task("t2", "2")]
    story = Story(world).play(tasks, {("run1", "claim asked", 1): do.cancel("t1")})
    assert world.asked[0].answer == ["DONE"]
    assert (story.heard, story.ms) == ("2", 0)


@pytest.mark.parametrize("label", ["claim done", "request", "answer", "settle asked", "settle done"])
def test_v13_a_hung_run_loses_its_channel_although_its_process_beats_on(world: World, label: str) -> None:
    story = Story(world).play([task("t1", "12")], {("run1", label, 1): do.HANG})
    assert story.heard == "12"
    assert story.states()["t1"] in {"sent", "presumed"}
    assert story.ms < 15_000
