"""Answers that are lost or late: the digit is pressed once, and its record says what is known."""

from collections.abc import Iterator

import pytest

from tests.fleet.conftest import GroundMaker
from tests.fleet.harness import Ground, Line, Scene, outcomes, until
from worker.errors import LineBroken, TaskUnknown
from worker.local.processes import ACCESS_KEY_ID, ACCESS_KEY_SECRET

GET_S = 30.0


@pytest.fixture(params=["burn", "no burn"])
def burning(request: pytest.FixtureRequest, fleet: Ground) -> Iterator[bool]:
    """Whether a refused request burns its nonce."""
    burn = request.param == "burn"
    fleet.simulator.control.set_settings(burn=burn)
    yield burn
    fleet.simulator.control.set_settings(burn=True)


def one_attempt(scene: Scene, line: Line, *, copies: int) -> None:
    """See that the second digit's copies went under one nonce."""
    nonces = [event["nonce"] for event in sorted(scene.requests(line), key=lambda event: event["received_at"])]
    assert len(nonces) == 2 + copies
    assert len(set(nonces[1:-1])) == 1
    assert len(set(nonces)) == 3


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.usefixtures("burning")
def test_executed_and_then_cut_off_is_presumed_and_heard_once(scene: Scene, line: Line, how: str) -> None:
    scene.rule(line, match={"requests": 2}, drop={"when": "after", "how": how})
    outcome = scene.send(line, "123").get(timeout=GET_S)
    assert outcome["state"] == "presumed"
    assert [digit["outcome"] for digit in outcome["digits"]] == ["sent", "presumed", "sent"]
    assert outcome["digits"][1]["code"] == "SignatureNonceUsed"
    assert scene.keys(line) == "123"
    one_attempt(scene, line, copies=2)
    assert scene.verdict().broken == []


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.usefixtures("burning")
def test_cut_off_before_executing_is_sent_and_heard_once(scene: Scene, line: Line, how: str) -> None:
    scene.rule(line, match={"requests": 2}, drop={"when": "before", "how": how})
    outcome = scene.send(line, "123").get(timeout=GET_S)
    assert outcome["state"] == "sent"
    assert scene.keys(line) == "123"
    one_attempt(scene, line, copies=2)
    assert scene.verdict().broken == []


@pytest.mark.usefixtures("burning")
def test_an_answer_after_the_time_out_is_presumed_and_heard_once(scene: Scene, line: Line) -> None:
    scene.rule(line, match={"requests": 2}, answer_after=4)
    assert scene.send(line, "123").get(timeout=GET_S)["state"] == "presumed"
    assert scene.keys(line) == "123"
    assert scene.verdict().broken == []


@pytest.mark.usefixtures("burning")
def test_a_copy_that_lingers_in_the_network_does_not_press_again(scene: Scene, line: Line) -> None:
    scene.rule(line, match={"requests": 2}, lag=3)
    assert scene.send(line, "123").get(timeout=GET_S)["state"] == "sent"
    until(lambda: len(scene.requests(line)) == 4, "the late copy refused")
    assert [event["code"] for event in scene.requests(line)][-1] == "SignatureNonceUsed"
    assert scene.keys(line) == "123"
    assert scene.verdict().broken == []


def test_a_proxys_page_instead_of_the_answer_is_presumed_and_heard_once(scene: Scene, line: Line) -> None:
    scene.rule(line, match={"requests": 2}, page={"status": 502, "executed": True})
    assert scene.send(line, "123").get(timeout=GET_S)["state"] == "presumed"
    assert scene.keys(line) == "123"


def test_an_answer_lost_and_then_throttled_stops_if_its_nonce_is_refused(scene: Scene, line: Line) -> None:
    scene.rule(line, match={"requests": 2}, drop={"when": "after"})
    scene.rule(line, match={"requests": [1, 3]}, throttle={"rate": 0.0001, "burst": 2})
    result = scene.send(line, "123")
    with pytest.raises(TaskUnknown):
        result.get(timeout=GET_S)
    assert outcomes(scene.record(result)) == ["sent", "unknown", "not_sent"]
    assert scene.keys(line) == "12"


def test_a_digit_unanswered_at_its_deadline_is_unknown_and_nothing_comes_after_it(scene: Scene, line: Line) -> None:
    scene.rule(line, match={"requests": [2, None]}, drop={"when": "before"})
    first, second = scene.send(line, "12", expires_in=2), scene.send(line, "3", expires_in=20)
    with pytest.raises(TaskUnknown):
        first.get(timeout=GET_S)
    with pytest.raises(LineBroken):
        second.get(timeout=GET_S)
    assert outcomes(scene.record(first)) == ["sent", "unknown"]
    assert scene.keys(line) == "1"
    assert scene.verdict().broken == []


def test_a_channel_is_held_until_a_late_copy_can_no_longer_come(scene: Scene, line: Line) -> None:
    other = Line(line.channel_id, f"{line.job_id}-b")
    scene.rule(line, match={"job": line.job_id, "requests": 2}, lag=2)
    scene.rule(line, match={"job": line.job_id, "requests": [3, None]}, drop={"when": "before"})
    first = scene.send(line, "12", expires_in=1.3)
    behind = scene.send(other, "3", expires_in=30, on_failure="continue")
    with pytest.raises(TaskUnknown):
        first.get(timeout=GET_S)
    assert behind.get(timeout=GET_S)["state"] == "sent"
    assert scene.keys(line) == "123"
    assert scene.verdict().broken == []


def test_an_attempt_of_another_access_key_is_not_sent_again(new_ground: GroundMaker) -> None:
    ground = new_ground(DTMF_CONCURRENCY=2)
    scene, line = Scene(ground), Line.new()
    scene.rule(line, match={"requests": 1}, answer_after=30)
    old = {"id": ACCESS_KEY_ID, "secret": ACCESS_KEY_SECRET}
    scene.control.set_accounts(old, {"id": "LTAI-the-next-one", "secret": "another secret"})
    ground.start("before")
    result = scene.send(line, "12", expires_in=60)
    until(lambda: scene.heard(line), "the digit heard")
    ground.kill("before")
    ground.start(
        "after",
        ALIBABA_CLOUD_ACCESS_KEY_ID="LTAI-the-next-one",
        ALIBABA_CLOUD_ACCESS_KEY_SECRET="another secret",
    )
    with pytest.raises(TaskUnknown):
        result.get(timeout=GET_S)
    scene.control.set_accounts(old)
    assert outcomes(scene.record(result)) == ["unknown", "not_sent"]
    assert scene.keys(line) == "1"
