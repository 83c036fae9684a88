"""What stays impossible (docs/guarantees.md, "Where the promises end"): each limit shows just as it is documented."""

from itertools import combinations

import pytest

from tests.enumerate import acts as do
from tests.enumerate.cases import Play, run_case
from tests.enumerate.judge import LATE, OUT_OF_ORDER, PRESUMED
from tests.enumerate.scenes import Scene
from tests.enumerate.stories import Story, task
from tests.enumerate.world import KEY, World
from worker.record import Outcome
from worker.simulator.scene import Drop, Error, Match, Rule
from worker.vault import Vault


def test_v3_a_copy_that_is_written_after_the_hold_is_heard_after_a_later_digit(world: World) -> None:
    """The worker slept between its last look at the clock and the write; its successor heard nothing, and gave up."""
    while_it_slept = Rule(match=Match(requests=(1, 3)), drop=Drop(when="before"))
    story = Story(world, while_it_slept).play(
        [task("t1", "1", expires_in=2), task("t2", "2", on_failure="continue")],
        {("run1", "request", 1): do.SLEEP},
    )
    assert story.states() == {"t1": "unknown", "t2": "sent"}
    assert story.heard == "21"
    assert story.limits == {OUT_OF_ORDER: 1, LATE: 1}


def test_v10_a_copy_that_is_written_after_a_pause_behind_the_last_look_at_the_clock_is_late(world: World) -> None:
    story = Story(world)
    world.reset(story._scene, {("run1", "request", 1): do.SLEEP})
    world.produce([task("t1", "1", expires_in=2)])
    while not world.sleepers:
        world.step_next()
    world.pass_time(world.now_ms + 2500)
    do.WAKE(world)
    story.finish()
    assert story.heard == "1"
    assert story.limits == {LATE: 1}


@pytest.mark.parametrize("burns", [True, False], ids=["a refusal burns the nonce", "a refusal burns nothing"])
def test_v7_presumed_is_wrong_where_a_refusal_that_nobody_read_had_burnt_the_nonce(world: World, burns: bool) -> None:
    rejected = Rule(match=Match(requests=1), error=Error(code="InvalidParameter"))
    story = Story(world, rejected, burn=burns).play([task("t1", "1")], {("run1", "answer", 1): do.STOP})
    if burns:
        assert (story.heard, story.states()) == ("", {"t1": "presumed"})
        assert story.limits == {PRESUMED: 1}
    else:
        assert (story.heard, story.states()) == ("1", {"t1": "sent"})
        assert story.limits == {}


def test_a_digit_that_is_unanswered_at_its_deadline_is_unknown_whether_it_was_heard_or_not(world: World) -> None:
    for when in ("before", "after"):
        never = Rule(match=Match(requests=1), drop=Drop(when=when))
        silent = Rule(match=Match(requests=(2, None)), drop=Drop(when="before"))
        story = Story(world, never, silent).play([task("t1", "1", expires_in=2)], {})
        assert story.states() == {"t1": "unknown"}
        assert story.heard == ("1" if when == "after" else "")


def test_a_digit_on_its_way_is_not_recalled_by_cancel(world: World) -> None:
    story = Story(world).play([task("t1", "1")], {("run1", "request", 1): do.cancel("t1")})
    assert world.asked[0].answer == ["REQUESTED"]
    assert (story.heard, story.states()) == ("1", {"t1": "sent"})


def test_a_server_that_lost_its_last_writes_ends_a_task_twice_and_presses_once(world: World) -> None:
    """Sent, said the stream; then the server comes back as it was before that, and the stream says presumed."""
    story = Story(world)
    world.reset(story._scene, {("run1", "settle asked", 1): do.SAVE})
    world.produce([task("t1", "1")])
    world.go_on()
    assert [record.state for record in world.ended()[0]] == ["sent"]
    do.ROLL_BACK(world)
    story.finish()
    assert [record.state for record in world.ended()[0]] == ["presumed"]
    assert story.heard == "1"


def test_a_server_that_lost_its_last_writes_forgets_a_task_that_was_accepted(world: World) -> None:
    story = Story(world)
    world.reset(story._scene, {})
    world.save()
    world.produce([task("t1", "1")])
    world.go_on()
    assert world.api.heard == "1"
    world.restore()
    assert world.queue.status("t1") == ["NONE"]


@pytest.mark.parametrize(("throttled", "heard"), [(False, "1"), (True, "11")])
def test_a_forgotten_task_that_is_enqueued_again_is_pressed_twice_if_it_is_throttled(
    world: World, throttled: bool, heard: str
) -> None:
    """Of its own, the server knows nothing any more of what was sent; and a refusal may have burnt the nonce."""
    scene = Scene((1,), "throttled", 2, burns=False) if throttled else Scene((1,))
    world.reset(scene.for_simulator(), {})
    world.save()
    for _ in range(2):
        world.produce([task("t1", "1")])
        world.go_on()
        assert world.api.heard in {"1", heard}
        do.ROLL_BACK(world)
    assert world.api.heard == heard


@pytest.mark.parametrize("kind", ["the same", "another secret key", "a nonce long forgotten"])
def test_a_digit_whose_mark_was_lost_is_pressed_twice_only_where_the_api_takes_another_nonce_or_an_old_one(
    world: World, kind: str
) -> None:
    """The server comes back as it was before the digit was marked, and the digit had been executed."""
    story = Story(world, nonce_memory=960)
    world.reset(story._scene, {("run1", "claim asked", 1): do.SAVE})
    world.produce([task("t1", "1", expires_in=3600)])
    world.go_on()
    assert world.api.heard == "1"
    do.ROLL_BACK(world)
    if kind == "another secret key":
        world.vault = Vault([b"another key, of thirty-two bytes", KEY])
    if kind == "a nonce long forgotten":
        world.pass_time(world.now_ms + 961_000)
    world.go_on()
    twice = kind != "the same"
    assert world.api.heard == ("11" if twice else "1")
    assert [record.state for record in world.ended()[0]] == ["sent" if twice else "presumed"]


LOSSES = [
    Scene((2,)),
    Scene((1, 1), "executed, no answer", 1),
    *(Scene((1, 1), outcome, 1, burns) for outcome in ("throttled", "refused") for burns in (True, False)),
]


@pytest.mark.parametrize("scene", LOSSES, ids=str)
def test_a_server_that_lost_its_last_writes_presses_no_key_twice(world: World, scene: Scene) -> None:
    """Also where it lost a refusal, and the digit was executed since.

    Each moment to which the server may fall back, and each later one at which it does.
    """
    run_case(world, scene, {})
    count = world.moments
    for saved, lost in combinations(range(1, count + 1), 2):
        world.reset(scene.for_simulator(), {saved: do.SAVE, lost: do.ROLL_BACK})
        scene.set_up(world)
        world.go_on()
        heard = world.api.heard
        assert list(heard) == sorted(set(heard)), world.trace
        for record in world.ended()[0]:
            for key, digit in zip(world.given[record.id].keys, record.digits, strict=True):
                assert digit.outcome is not Outcome.SENT or key in heard
                assert digit.outcome not in {Outcome.NOT_SENT, Outcome.FAILED} or key not in heard


@pytest.mark.parametrize(
    ("outcome", "limits"),
    [("answered", set()), ("executed, no answer", set()), ("rejected", {PRESUMED})],
)
def test_no_other_limit_shows(world: World, outcome: str, limits: set[str]) -> None:
    """A run that falls asleep at each moment, and wakes up when all is over."""
    play = Play(world)
    play.one_act(Scene((1, 1), outcome, int(outcome != "answered"), go_on=True), do.SLEEP)
    assert not play.tally.broken, play.tally.story
    assert set(play.tally.limits) == limits
