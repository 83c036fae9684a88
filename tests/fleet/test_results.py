"""AsyncResult.get(): what a CRM gets back, whichever worker sent its task."""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from subprocess import run
from typing import Any

import pytest

from tests.fleet.harness import Ground, Line, Scene
from worker.ccc import Gone, Rejected
from worker.errors import DtmfError, LineBroken, TaskCancelled, TaskError, TaskExpired, TaskUnknown

GET_S = 30.0


def test_get_gives_the_outcome_of_a_sent_task(scene: Scene, line: Line) -> None:
    result = scene.send(line, "12#")
    outcome = result.get(timeout=GET_S)
    assert outcome["state"] == "sent"
    assert outcome["id"] == result.id
    assert [digit["outcome"] for digit in outcome["digits"]] == ["sent"] * 3
    heard = [event["request_id"] for event in scene.heard(line)]
    assert [digit["request_id"] for digit in outcome["digits"]] == heard
    assert outcome["enqueued_at"] <= outcome["started_at"] <= outcome["ended_at"] <= outcome["deadline"]
    assert (result.state, result.successful()) == ("SUCCESS", True)


def test_get_works_before_and_after_the_end_and_from_another_process(scene: Scene, fleet: Ground, line: Line) -> None:
    scene.rule(line, answer_after=0.4)
    with ThreadPoolExecutor(1) as waiter:
        result = scene.send(line, "1")
        early = waiter.submit(lambda: fleet.new_producer().AsyncResult(result.id).get(timeout=GET_S))
        outcome = early.result()
    assert outcome["state"] == "sent"
    assert result.get(timeout=GET_S) == outcome
    assert fleet.new_producer().AsyncResult(result.id).get(timeout=GET_S) == outcome


def test_whichever_worker_sends_its_results_come(scene: Scene) -> None:
    lines = [Line.new() for _ in range(40)]
    scene.rule(*lines, latency=[0.02, 0.08])
    results = [scene.send(line, "1234#", expires_in=60) for line in lines]
    outcomes = [result.get(timeout=GET_S) for result in results]
    assert {outcome["state"] for outcome in outcomes} == {"sent"}
    assert len({outcome["worker"] for outcome in outcomes}) > 1


def test_no_result_holds_a_key_or_a_number(scene: Scene, fleet: Ground) -> None:
    good, gone = Line.new(), Line.new()
    scene.rule(gone, match={"digits": 2}, hang_up="channel")
    results = [scene.send(good, "135791357913#"), scene.send(gone, "135791357913#")]
    texts = []
    for result in results:
        try:
            texts.append(json.dumps(result.get(timeout=GET_S)))
        except Gone as error:
            texts += [str(error), repr(error.args)]
        texts.append(str(fleet.client.get(f"celery-task-meta-{result.id}")))
    for text in texts:
        for line in (good, gone):
            assert line.channel_id not in text
            assert line.channel_id[12:23] not in text
            assert line.job_id not in text
        assert "1357" not in text


def failing(code: str, status: int) -> Callable[[Scene, Line], Any]:
    """A task whose second digit gets an error."""

    def play(scene: Scene, line: Line) -> Any:
        scene.rule(line, match={"requests": 2}, error={"code": code, "status": status})
        return scene.send(line, "12#")

    return play


def expiring(scene: Scene, line: Line) -> Any:
    return scene.send(line, "1WW2", expires_in=1.0)


def cancelled(scene: Scene, line: Line) -> Any:
    scene.ground.send_dtmf.pause(line.channel_id)
    result = scene.send(line, "12#")
    assert scene.ground.send_dtmf.cancel(result.id) == "DONE"
    return result


def behind_a_broken_line(scene: Scene, line: Line) -> Any:
    scene.rule(line, match={"requests": 1}, error={"code": "MissingParameter", "status": 400}, answer_after=0.3)
    scene.send(line, "1")
    return scene.send(line, "2")


ENDS: dict[str, tuple[Callable[[Scene, Line], Any], type[DtmfError], str | None, str]] = {
    "gone": (failing("NotExists.ChannelId", 404), Gone, "NotExists.ChannelId", "FAILURE"),
    "rejected": (failing("InvalidParameter", 400), Rejected, "InvalidParameter", "FAILURE"),
    "unknown": (failing("InternalError", 500), TaskUnknown, "InternalError", "FAILURE"),
    "expired": (expiring, TaskExpired, None, "FAILURE"),
    "cancelled": (cancelled, TaskCancelled, None, "REVOKED"),
    "behind a broken line": (behind_a_broken_line, LineBroken, "MissingParameter", "REVOKED"),
}


@pytest.mark.parametrize("end", ENDS)
def test_get_raises_the_typed_error_with_its_facts(scene: Scene, line: Line, end: str) -> None:
    play, kind, code, state = ENDS[end]
    result = play(scene, line)
    with pytest.raises(kind) as caught:
        result.get(timeout=GET_S)
    error = caught.value
    assert type(error) is kind
    assert result.id in str(error)
    assert result.state == state
    if isinstance(error, TaskError):
        assert error.outcome["id"] == result.id
        assert error.outcome.get("code") == code
    else:
        refused = next(event for event in scene.requests(line) if event["code"] == code)
        assert isinstance(error, Gone | Rejected)
        assert (error.code, error.http_status) == (code, refused["http_status"])
        assert error.request_id == refused["request_id"]
    assert line.channel_id not in repr(error.args)


def test_a_crm_that_loaded_nothing_but_send_dtmf_catches_the_typed_error(scene: Scene, line: Line) -> None:
    scene.rule(line, error={"code": "NotExists.JobId", "status": 404})
    script = (
        "import sys\n"
        "from worker import send_dtmf\n"
        "try:\n"
        "    send_dtmf.delay(channel_id=sys.argv[1], job_id='j', dtmf='1').get(timeout=30)\n"
        "except Exception as error:\n"
        "    print(*(kind.__module__ + '.' + kind.__name__ for kind in type(error).__mro__))\n"
    )
    env = {name: scene.ground.env[name] for name in ("REDIS_URL", "DTMF_SECRET_KEYS")}
    done = run(
        [sys.executable, "-W", "error::DeprecationWarning", "-c", script, line.channel_id],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("worker.ccc.errors.Gone worker.ccc.errors.ApiError worker.errors.DtmfError"), done
    assert done.stderr == ""
