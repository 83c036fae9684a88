"""What Flower shows of tasks: their true state, run time and worker; no key and no number anywhere."""

import re
from collections import Counter
from typing import Any

import pytest

from tests.fleet.foreign import LIST, kwargs_of, other_celery
from tests.fleet.harness import Line, until
from tests.flower.conftest import CALLED, CALLER, PIN, WORKERS, Office, line_of
from tests.flower.pages import needs_chromium, routes
from worker.fleet.follower import GROUP
from worker.fleet.results import RECORDS
from worker.record import Record

STATES = {
    "sent": ("SUCCESS", None),
    "sent too": ("SUCCESS", None),
    "presumed": ("SUCCESS", None),
    "failed": ("FAILURE", "Rejected("),
    "gone": ("FAILURE", "Gone("),
    "unknown": ("FAILURE", "TaskUnknown("),
    "expired": ("FAILURE", "TaskExpired("),
    "cancelled": ("REVOKED", "TaskCancelled("),
    "behind": ("REVOKED", "LineBroken("),
}
AT_HAND = "flower_worker_prefetched_tasks{"
CHANNELS = {"sent too": "sent", "behind": "failed"}


def events_told(metrics: str) -> Counter[str]:
    """How many events of each kind Flower counted."""
    counted: Counter[str] = Counter()
    for text in metrics.splitlines():
        if text.startswith("flower_events_total{") and 'task="dtmf.send"' in text:
            counted[text.partition('type="')[2].partition('"')[0]] += int(float(text.rpartition(" ")[2]))
    return counted


@pytest.mark.parametrize("name", STATES)
def test_a_task_is_shown_as_it_ended(office: Office, day: dict[str, str], name: str) -> None:
    shown = office.shown.tasks()[day[name]]
    record: Record = office.scene.records()[day[name]]
    state, error = STATES[name]
    assert (shown["name"], shown["state"]) == ("dtmf.send", state)
    assert (shown["exception"] or "").startswith(error or "")
    assert bool(shown["exception"]) == bool(error)
    assert shown["result"] == (None if error else f"'{record.state}: 13 digits'")
    assert shown["received"] == record.enqueued_at / 1000
    assert shown["timestamp"] == record.ended_at / 1000
    assert shown["started"] == (record.started_at / 1000 if record.started_at else None)
    assert shown["runtime"] == ((record.ended_at - record.started_at) / 1000 if record.started_at else None)
    # A task that its producer cancelled is shown under the worker that told of it.
    assert shown["worker"] == record.worker or (record.worker is None and name == "cancelled")
    assert shown["worker"] in {f"{worker}@localhost" for worker in WORKERS}
    digest = line_of(CHANNELS.get(name, name)).digest
    assert shown["kwargs"] == f"{{'digits': 13, 'channel': '{digest}', 'instance_id': 'ccc-test'}}"


def test_nothing_but_the_tasks_is_shown(office: Office, day: dict[str, str]) -> None:
    """The messages that wake workers would be taken for tasks of somebody's."""

    def beating() -> set[str]:
        metrics = office.shown.ask("/metrics").text
        return set(re.findall(r'^flower_worker_online{worker="(\w+)@localhost"} 1', metrics, re.MULTILINE))

    # Flower has workers send their events, a few seconds after it was started.
    until(lambda: beating() == set(WORKERS), "the workers send events")
    sent = [office.scene.send(Line.new(), PIN).id for _ in range(4)]
    until(lambda: set(sent) <= set(office.shown.tasks()), "tasks are shown")
    assert {task["name"] for task in office.shown.tasks().values()} == {"dtmf.send"}
    assert set(day.values()) <= set(office.shown.tasks())


def test_records_that_are_told_again_change_nothing(office: Office, day: dict[str, str]) -> None:
    def ended() -> dict[str, Any]:
        tasks = office.shown.tasks()
        # Of a task that no worker ended, another worker may tell the second time.
        by_producer = {"clock": None, "worker": None}
        return {
            task_id: {**tasks[task_id], **(by_producer if name == "cancelled" else {"clock": None})}
            for name, task_id in day.items()
        }

    def told() -> Counter[str]:
        return events_told(office.shown.ask("/metrics").text)

    before, once = ended(), told()
    # The last events alone: of a task that took long, on a busy machine, the others were told before its record.
    ends = {"task-succeeded": 3, "task-failed": 4, "task-revoked": 2}
    assert all(once[kind] >= number for kind, number in ends.items())
    # As if no worker had acknowledged any of them.
    office.ground.client.xgroup_setid(RECORDS, GROUP, "0")
    until(lambda: all(told()[kind] >= once[kind] + number for kind, number in ends.items()), "all is told again")
    assert ended() == before
    gauges = [line for line in office.shown.ask("/metrics").text.splitlines() if line.startswith(AT_HAND)]
    assert gauges
    assert all(gauge.endswith(" 0.0") for gauge in gauges)


def test_no_key_and_no_number_stands_on_any_page(office: Office, day: dict[str, str]) -> None:
    named = [
        f"{path}/{name}"
        for path, names in {
            "/task": day.values(),
            "/api/task/info": day.values(),
            "/api/task/result": day.values(),
            "/worker": [f"{worker}@localhost" for worker in WORKERS],
        }.items()
        for name in names
    ]
    listed = "/tasks/datatable?draw=1&start=0&length=100&search[value]=&order[0][column]=0&columns[0][data]=name"
    for path in (*routes(), *named, listed, "/api/workers?refresh=1"):
        answer = office.shown.ask(path)
        assert answer.status_code in {200, 302, 400, 404, 405}, (path, answer.text)
        assert [secret for secret in (PIN, PIN[:6], CALLER, CALLED) if secret in answer.text] == [], path
        if path in named:
            assert answer.status_code == 200, path
    assert [secret for secret in (PIN[:6], CALLER, CALLED) if secret in office.shown.child.output()] == []


def test_the_results_are_those_that_a_producer_gets(office: Office, day: dict[str, str]) -> None:
    assert office.shown.ask(f"/api/task/result/{day['sent']}").json()["result"]["state"] == "sent"
    assert "Rejected" in office.shown.ask(f"/api/task/result/{day['failed']}").json()["result"]


def test_a_foreign_task_is_shown_like_any_other(office: Office) -> None:
    line = Line.new()
    with other_celery(office.ground) as crm:
        sent = crm.send_task("dtmf.send", kwargs=kwargs_of(line, PIN), queue=LIST)
        wrong = crm.send_task("dtmf.send", kwargs=kwargs_of(line, f"{PIN}x"), queue=LIST)
        until(lambda: {sent.id, wrong.id} <= set(office.shown.tasks()), "both are shown")
        assert sent.get(timeout=30)["state"] == "sent"
    until(lambda: office.shown.tasks()[sent.id]["state"] == "SUCCESS", "it is shown as sent")
    refused = office.shown.tasks()[wrong.id]
    assert (refused["name"], refused["state"], refused["started"]) == ("dtmf.send", "FAILURE", None)
    assert refused["exception"].startswith("InvalidTask(")
    assert PIN[:6] not in str(refused)


@needs_chromium
def test_a_person_sees_the_tasks_in_a_browser(office: Office, day: dict[str, str]) -> None:
    page = office.shown.seen("/tasks")
    for name, task_id in day.items():
        (row,) = [row for row in page.split("<tr") if task_id in row]
        assert STATES[name][0] in row
        assert line_of(CHANNELS.get(name, name)).digest in row
    page = office.shown.seen(f"/task/{day['gone']}")
    assert "NotExists.ChannelId" in page
    assert "FAILURE" in page


@needs_chromium
def test_a_person_without_the_password_sees_nothing(office: Office, day: dict[str, str]) -> None:
    page = office.shown.seen("/tasks", login="operator:wrong@")
    assert "dtmf.send" not in page
    assert not any(task_id in page for task_id in day.values())
