"""What the API's errors do to a task and to those that wait behind it on the same call."""

from typing import Any

import pytest

from tests.fleet.harness import Ground, Line, Scene, outcomes, until
from worker.ccc import Gone, Rejected
from worker.errors import ChannelBroken, LineBroken, TaskExpired, TaskUnknown
from worker.record import State

GET_S = 30.0


def queue_behind(scene: Scene, line: Line, *tasks: dict[str, Any]) -> list[Any]:
    """Enqueue tasks on a paused channel, so that all of them wait when the first is sent."""
    scene.ground.send_dtmf.pause(line.channel_id)
    results = [scene.send(line, task.pop("dtmf"), **task) for task in tasks]
    scene.ground.send_dtmf.resume(line.channel_id)
    return results


@pytest.mark.parametrize("gone", ["channel", "job", "instance"])
def test_after_a_call_ended_nothing_more_of_it_is_sent(scene: Scene, line: Line, gone: str) -> None:
    code = {"channel": "NotExists.ChannelId", "job": "NotExists.JobId", "instance": "NotExists.InstanceId"}[gone]
    instance = f"ccc-{line.job_id}"
    scene.control.register_call(line.channel_id, line.job_id, instance_id=instance, end_after=2, gone=gone)
    tasks: list[dict[str, Any]] = [{"dtmf": "123"}, {"dtmf": "4"}, {"dtmf": "5", "on_failure": "continue"}]
    first, second, third = queue_behind(scene, line, *({**task, "instance_id": instance} for task in tasks))
    with pytest.raises(Gone) as caught:
        first.get(timeout=GET_S)
    assert (caught.value.code, caught.value.http_status) == (code, 404)
    for result in (second, third):
        with pytest.raises(LineBroken) as broken:
            result.get(timeout=GET_S)
        assert broken.value.outcome["broken_by"] == first.id
        assert broken.value.outcome["code"] == code
    assert scene.keys(line) == "12"
    assert [event["code"] for event in scene.requests(line)] == ["OK", "OK", code]
    assert outcomes(scene.record(first)) == ["sent", "sent", "failed"]
    assert outcomes(scene.record(third)) == ["not_sent"]
    assert scene.verdict().broken == []


def test_a_broken_channel_refuses_new_tasks_until_it_is_acknowledged(scene: Scene, line: Line) -> None:
    scene.rule(line, match={"requests": 1}, error={"code": "InvalidParameter", "status": 400})
    failed = scene.send(line, "1")
    with pytest.raises(Rejected):
        failed.get(timeout=GET_S)
    with pytest.raises(ChannelBroken, match=failed.id):
        scene.send(line, "2")
    assert scene.send(line, "3", on_failure="continue").get(timeout=GET_S)["state"] == "sent"
    scene.ground.send_dtmf.resume(line.channel_id)
    assert scene.send(line, "4").get(timeout=GET_S)["state"] == "sent"
    assert scene.keys(line) == "34"


def test_a_task_that_goes_on_is_sent_although_the_one_ahead_failed(scene: Scene, line: Line) -> None:
    scene.rule(line, match={"requests": 2}, error={"code": "MissingParameter", "status": 400})
    first, second, third = queue_behind(
        scene, line, {"dtmf": "12"}, {"dtmf": "3"}, {"dtmf": "45", "on_failure": "continue"}
    )
    assert third.get(timeout=GET_S)["state"] == "sent"
    with pytest.raises(LineBroken):
        second.get(timeout=GET_S)
    assert scene.record(first).state is State.FAILED
    assert scene.keys(line) == "145"
    assert scene.verdict().broken == []


@pytest.mark.parametrize("burn", [True, False])
def test_a_throttled_digit_is_sent_later_and_keeps_its_nonce_until_that_is_used_up(
    scene: Scene, line: Line, burn: bool
) -> None:
    scene.ground.client.delete("dtmf:burns")
    scene.control.set_settings(burn=burn)
    scene.rule(line, match={"requests": [2, 3]}, throttle={"rate": 0.0001, "burst": 1})
    scene.rule(line, match={"requests": 2}, error={"code": "Throttling.User", "status": 400})
    result = scene.send(line, "12#", expires_in=60)
    outcome = result.get(timeout=GET_S)
    scene.control.set_settings(burn=True)
    requests = scene.requests(line)
    throttled = ["Throttling.User", "Throttling.User", *(["SignatureNonceUsed"] if burn else [])]
    assert [event["code"] for event in requests] == ["OK", *throttled, "OK", "OK"]
    assert len({event["nonce"] for event in requests}) == (4 if burn else 3)
    assert [digit["attempts"] for digit in outcome["digits"]] == [1, len(throttled) + 1, 1]
    assert scene.keys(line) == "12#"
    assert scene.verdict().broken == []


def test_an_unavailable_api_is_asked_until_the_deadline_and_not_after(scene: Scene, line: Line) -> None:
    scene.rule(line, match={"requests": [2, None]}, error={"code": "ServiceUnavailable", "status": 503})
    first, second = queue_behind(scene, line, {"dtmf": "12", "expires_in": 1.5}, {"dtmf": "3"})
    with pytest.raises(TaskExpired):
        first.get(timeout=GET_S)
    with pytest.raises(LineBroken):
        second.get(timeout=GET_S)
    assert outcomes(scene.record(first)) == ["sent", "not_sent"]
    deadline = scene.record(first).deadline / 1000
    assert all(event["received_at"] < deadline + 0.25 for event in scene.requests(line))
    assert scene.keys(line) == "1"


@pytest.mark.parametrize("executed", [True, False])
def test_an_internal_error_stops_the_line(scene: Scene, line: Line, executed: bool) -> None:
    error = {"code": "InternalError", "status": 500, "executed": executed}
    scene.rule(line, match={"requests": 2}, error=error)
    first, second = queue_behind(scene, line, {"dtmf": "123"}, {"dtmf": "4"})
    with pytest.raises(TaskUnknown) as caught:
        first.get(timeout=GET_S)
    assert caught.value.outcome["code"] == "InternalError"
    with pytest.raises(LineBroken):
        second.get(timeout=GET_S)
    assert outcomes(scene.record(first)) == ["sent", "unknown", "not_sent"]
    assert scene.keys(line) == ("12" if executed else "1")
    assert len(scene.requests(line)) == 2
    assert scene.verdict().broken == []


def test_an_internal_error_is_pressed_again_where_the_task_says_so(scene: Scene, line: Line) -> None:
    scene.ground.client.delete("dtmf:burns")
    scene.rule(line, match={"requests": 2}, error={"code": "InternalError", "status": 500})
    outcome = scene.send(line, "123", on_unknown="resend").get(timeout=GET_S)
    assert outcome["state"] == "sent"
    # The error has used up the nonce, and that is found out.
    assert [digit["attempts"] for digit in outcome["digits"]] == [1, 3, 1]
    assert scene.keys(line) == "123"
    assert len({event["nonce"] for event in scene.requests(line)}) == 4


def test_nothing_of_a_task_whose_deadline_passed_in_the_queue_is_sent(scene: Scene, line: Line) -> None:
    scene.rule(line, match={"requests": 1}, answer_after=0.9)
    first = scene.send(line, "1", on_failure="continue")
    late = scene.send(line, "2", expires_in=0.3)
    behind = scene.send(line, "3", on_failure="continue", expires=20)
    with pytest.raises(TaskExpired):
        late.get(timeout=GET_S)
    assert (first.get(timeout=GET_S)["state"], behind.get(timeout=GET_S)["state"]) == ("sent", "sent")
    assert scene.keys(line) == "13"
    assert outcomes(scene.record(late)) == ["not_sent"]
    assert scene.verdict().broken == []


def test_a_task_cancelled_while_its_digit_is_on_its_way_ends_before_the_next(scene: Scene, line: Line) -> None:
    scene.rule(line, match={"requests": 1}, answer_after=0.8)
    first = scene.send(line, "12")
    behind = scene.send(line, "3")
    until(lambda: scene.heard(line), "the digit heard")
    assert scene.ground.send_dtmf.cancel(first.id) == "REQUESTED"
    with pytest.raises(LineBroken):
        behind.get(timeout=GET_S)
    assert scene.record(first).state is State.CANCELLED
    assert outcomes(scene.record(first)) == ["sent", "not_sent"]
    assert scene.keys(line) == "1"


def test_the_last_answer_of_the_api_is_kept_for_the_crm(scene: Scene, fleet: Ground, line: Line) -> None:
    result = scene.send(line, "1")
    result.get(timeout=GET_S)
    answer = fleet.send_dtmf.api_answer(result.id)
    assert answer is not None
    assert answer["CallContext"]["JobId"] == line.job_id
    assert answer["UserContext"]["UserId"] == "user-test@ccc-test"
