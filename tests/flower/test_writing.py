"""Tasks sent and revoked by hand in Flower, where DTMF_FLOWER_WRITABLE allows it."""

from typing import Any

import pytest
from celery import Celery

from tests.fleet.harness import Line, until
from tests.flower.conftest import PIN, Office
from worker.errors import TaskCancelled

WAYS = ("async-apply", "send-task", "apply")


def arguments(line: Line, **more: Any) -> dict[str, Any]:
    return {"kwargs": {"channel_id": line.channel_id, "job_id": line.job_id, "dtmf": PIN, **more}}


def no_secret_in(office: Office, line: Line, *texts: str) -> None:
    for text in (*texts, office.writable.child.output(), office.ground.logs()):
        assert PIN[:6] not in text
        assert line.channel_id not in text


@pytest.mark.parametrize("way", WAYS)
def test_a_posted_task_is_sent(office: Office, way: str) -> None:
    line = Line.new()
    answer = office.writable.ask(f"/api/task/{way}/dtmf.send", "POST", json=arguments(line))
    assert answer.status_code == 200, answer.text
    task_id = answer.json()["task-id"]
    until(lambda: office.writable.tasks().get(task_id, {}).get("state") == "SUCCESS", "the task is shown as sent")
    events = office.scene.control.heard(office.scene.since_heard)
    assert "".join(event["key"] for event in events if event["channel_id"] == line.channel_id) == PIN
    no_secret_in(office, line, answer.text, office.writable.ask(f"/task/{task_id}").text)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a bad key": ({"dtmf": f"{PIN}x"}, "dtmf"),
    "an unknown argument": ({"digits": PIN}, "digits"),
    "no channel": ({"channel_id": ""}, "channel_id"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", WRONG)
def test_bad_arguments_are_answered_with_what_is_wrong(office: Office, way: str, what: str) -> None:
    line = Line.new()
    wrong, named = WRONG[what]
    answer = office.writable.ask(f"/api/task/{way}/dtmf.send", "POST", json=arguments(line, **wrong))
    assert answer.status_code == 400
    assert named in answer.text
    no_secret_in(office, line, answer.text)


@pytest.mark.parametrize(
    "body",
    [
        {"args": [PIN]},
        {"kwargs": [PIN]},
        {**arguments(Line.new()), "queue": PIN},
        {**arguments(Line.new()), "countdown": PIN},
        {**arguments(Line.new()), "task_id": {"dtmf": PIN}},
        {**arguments(Line.new()), "link": PIN},
        {**arguments(Line.new()), "expires": f"{PIN}x"},
        {**arguments(Line.new()), "shadow": {"dtmf": PIN}},
        f'{{"kwargs": {{"dtmf": "{PIN}"',
    ],
)
def test_a_body_that_is_no_task_is_refused(office: Office, body: Any) -> None:
    given = {"data": body} if isinstance(body, str) else {"json": body}
    answer = office.writable.ask("/api/task/async-apply/dtmf.send", "POST", **given)
    assert answer.status_code == 400, answer.text
    no_secret_in(office, Line.new(), answer.text)


@pytest.mark.parametrize("option", [{"expires": [PIN]}, {"operation": PIN}, {"func": PIN}, {"self": PIN}])
def test_a_body_that_flower_stumbles_over_is_not_shown(office: Office, option: dict[str, Any]) -> None:
    line = Line.new()
    answer = office.writable.ask("/api/task/async-apply/dtmf.send", "POST", json={**arguments(line), **option})
    assert answer.status_code in {400, 500}
    no_secret_in(office, line, answer.text)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["dtmf.sent", "dtmf.serve", "celery.chain"])
def test_no_other_task_can_be_sent(office: Office, way: str, name: str) -> None:
    """A name mistyped would put the keys into a message, in clear."""
    answer = office.writable.ask(f"/api/task/{way}/{name}", "POST", json=arguments(Line.new()))
    assert answer.status_code == 404


def test_a_broken_line_is_answered_as_such(office: Office) -> None:
    line = Line.new()
    office.scene.rule(line, error={"code": "InvalidParameter", "status": 400})
    office.scene.record(office.scene.send(line, "1"))
    answer = office.writable.ask("/api/task/async-apply/dtmf.send", "POST", json=arguments(line))
    assert answer.status_code == 409
    assert "broken" in answer.text


def waiting_task(office: Office) -> Any:
    line = Line.new()
    office.ground.send_dtmf.pause(line.channel_id)
    return office.scene.send(line, PIN, expires_in=60)


@pytest.mark.parametrize("terminate", ["false", "true"])
def test_revoke_ends_a_waiting_task(office: Office, terminate: str) -> None:
    result = waiting_task(office)
    answer = office.writable.ask(f"/api/task/revoke/{result.id}?terminate={terminate}", "POST")
    assert answer.status_code == 200, answer.text
    with pytest.raises(TaskCancelled):
        result.get(timeout=30)
    until(lambda: office.shown.tasks().get(result.id, {}).get("state") == "REVOKED", "it is shown as revoked")


def test_a_task_that_is_being_sent_is_shown_so_and_can_be_ended(office: Office) -> None:
    result = office.scene.send(Line.new(), PIN, gap_ms=900)
    until(lambda: office.writable.tasks().get(result.id, {}).get("state") == "STARTED", "it is shown before it ends")
    task = office.writable.tasks()[result.id]
    assert (task["name"], task["result"]) == ("dtmf.send", None)
    assert "'digits': 13" in task["kwargs"]
    assert "Terminate" in office.writable.ask(f"/task/{result.id}").text
    assert office.writable.ask(f"/api/task/revoke/{result.id}?terminate=true", "POST").status_code == 200
    with pytest.raises(TaskCancelled) as caught:
        result.get(timeout=30)
    assert 0 < [digit["outcome"] for digit in caught.value.outcome["digits"]].count("sent") < 13
    task = until(
        lambda: (seen := office.writable.tasks()[result.id])["state"] == "REVOKED" and seen, "it is shown as revoked"
    )
    assert task["received"] == caught.value.outcome["enqueued_at"] / 1000


def test_any_celery_client_can_revoke_a_task(office: Office) -> None:
    results = [waiting_task(office) for _ in range(3)]
    with Celery("stranger", broker=office.ground.redis.url, set_as_current=False) as stranger:
        stranger.control.revoke([result.id for result in results[:2]])
        for result in results[:2]:
            with pytest.raises(TaskCancelled):
                result.get(timeout=30)
        answers = stranger.control.revoke("no-such-task", reply=True, timeout=5, limit=2) or []
    assert [list(answer.values()) for answer in answers] == [[{"ok": "NONE"}]] * 2
    status = office.ground.send_dtmf.status(results[2].id)
    assert status is not None
    assert status.state == "queued"


def test_abort_is_refused_and_leaves_the_result(office: Office) -> None:
    result = waiting_task(office)
    answer = office.writable.ask(f"/api/task/abort/{result.id}", "POST")
    assert answer.status_code == 400
    assert "revoke" in answer.text
    assert result.state == "PENDING"
