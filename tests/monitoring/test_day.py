"""A day of two workers: their logs, in both formats, and what Sentry was sent; nowhere a key or a number."""

import json
import re
from typing import Any

import pytest

from tests.monitoring.conftest import CALLED, CALLER, PIN, STRANGE, Day

SECRETS = (PIN, PIN[:6], CALLER, CALLED, "job-", STRANGE)


def test_every_line_of_the_json_log_is_an_object_with_time_level_and_logger(day: Day) -> None:
    """That each line could be parsed, the fixture has seen; Celery's lines have the same form."""
    assert all({"time", "level", "logger"} <= line.keys() for line in day.lines)
    assert {line["logger"].partition(".")[0] for line in day.lines} >= {"worker", "celery", "kombu", "urllib3", "redis"}
    assert any(line.get("message") == "json@localhost ready." for line in day.lines)
    assert "[queues]" not in day.printed


def test_a_task_can_be_followed_by_its_id(day: Day) -> None:
    task = day.tasks["sent"]
    told = [line["event"] for line in day.lines if line.get("task") == task]
    assert told == [*["digit.marked", "digit.settled"] * len(PIN), "task.recorded"]
    settled = day.events("digit.settled", task=task, verdict="ok", code="OK", http_status=200, attempt=1)
    assert [line["digit"] for line in settled] == list(range(1, len(PIN) + 1))
    assert all(line["request_id"] and line["level"] == "DEBUG" for line in settled)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("sent", {"state": "sent"}),
        ("resent", {"state": "presumed"}),
        ("rejected", {"state": "failed", "error": "Rejected", "code": "InvalidParameter", "http_status": 400}),
        ("gone", {"state": "failed", "error": "Gone", "code": "NotExists.ChannelId", "digit": 1}),
        ("open", {"state": "unknown", "error": "TaskUnknown", "code": "InternalError"}),
        ("behind", {"state": "cancelled", "error": "LineBroken", "code": "InvalidParameter"}),
        ("cancelled", {"state": "cancelled", "error": "TaskCancelled"}),
    ],
)
def test_the_end_of_each_task_is_one_line(day: Day, name: str, fields: dict[str, Any]) -> None:
    (line,) = day.events("task.recorded", task=day.tasks[name])
    assert line["level"] == "INFO"
    assert fields.items() <= line.items()
    assert line["digits"] == len(PIN)
    assert line["ms"] >= 0


def test_an_operator_is_told_why_the_api_does_not_answer(day: Day) -> None:
    first, *others = day.events("digit.unanswered", task=day.tasks["resent"])
    assert "the connection was reset" in first["reason"]
    assert first["level"] == "WARNING"
    assert {line["level"] for line in others} == {"DEBUG"}


def test_a_refused_digit_is_a_warning_and_the_end_of_a_call_is_none(day: Day) -> None:
    levels = {
        name: day.events("digit.settled", task=day.tasks[name])[0]["level"] for name in ("rejected", "gone", "open")
    }
    assert levels == {"rejected": "WARNING", "gone": "DEBUG", "open": "WARNING"}


def test_an_unforeseen_error_of_a_run_shows_where_it_was_and_not_what_it_held(day: Day) -> None:
    line = day.events("run.failed", error="LookupError")[0]
    assert line["level"] == "ERROR"
    assert "_faulty_copy" in line["exc_info"]


def test_a_strangers_message_is_refused_without_its_body(day: Day) -> None:
    reasons = [line["reason"] for line in day.events("message.refused")]
    assert sorted(reasons) == sorted(
        ["no task of this name", "no task of this name", "not a task", "not a valid task", "its body cannot be read"]
    )
    assert len(day.events("message.refused", name="crm.press")) == 1


def test_no_key_or_number_stands_in_a_log(day: Day) -> None:
    json_lines = "\n".join(str(line) for line in day.lines)
    for text in (json_lines, day.printed, day.text):
        assert [secret for secret in SECRETS if secret in text] == []
    # Keys are sent one by one: none stands alone in the place of a value either.
    assert not {"key", "dtmf", "channel_id", "args", "kwargs", "data"} & {name for line in day.lines for name in line}


def test_by_default_a_line_is_text_and_says_what_a_person_wants_to_know(day: Day) -> None:
    (line,) = [line for line in day.text.splitlines() if day.tasks["text"] in line]
    assert re.match(r"\[[-0-9]+ [:,0-9]+: INFO/MainProcess\] task\.recorded task=\S+ ch=\w+ state=sent ", line)
    # Celery's two lines about each wake-up are for those who debug.
    assert "dtmf.serve[" not in day.text
    assert " ready." in day.text
    assert "worker.stopping runs=0" in day.text


# Sentry


def test_no_key_or_number_is_sent(day: Day) -> None:
    assert day.sentry.texts
    for text in day.sentry.texts:
        assert [secret for secret in SECRETS if secret in text] == []


def test_nothing_but_errors_is_sent(day: Day) -> None:
    assert {kind for kind, _ in day.sentry.items()} <= {"event", "client_report"}
    for event in day.sentry.events():
        assert not {"extra", "breadcrumbs", "request", "user", "contexts", "modules", "threads"} & event.keys()
        assert "vars" not in json.dumps(event)


def test_a_failed_task_is_sent_once_for_each_class_and_code(day: Day) -> None:
    (event,) = day.sent("Rejected")
    assert event["message"] == "Rejected (InvalidParameter)"
    assert event["level"] == "error"
    assert event["environment"] == "test"
    assert event["release"].startswith("ccc-dtmf-worker@")
    tags = event["tags"]
    assert tags["task"] in {day.tasks["rejected"], day.tasks["rejected too"]}
    (line,) = day.events("task.recorded", task=tags["task"])
    assert {
        name: str(line[name]) for name in ("ch", "error", "code", "request_id", "http_status")
    }.items() <= tags.items()


def test_a_task_of_unknown_fate_is_sent(day: Day) -> None:
    assert [event["tags"]["task"] for event in day.sent("TaskUnknown (InternalError)")] == [day.tasks["open"]]


def test_tasks_that_end_as_designed_are_not_sent(day: Day) -> None:
    told = {event.get("tags", {}).get("task") for event in day.sentry.events()}
    assert not told & {day.tasks[name] for name in ("sent", "resent", "gone", "behind", "cancelled")}


def test_an_unforeseen_error_is_sent_with_its_frames_and_without_its_text(day: Day) -> None:
    """The run fails again and again, at each sweep; Sentry hears of it once a minute."""
    (event,) = day.sent("run.failed")
    (error,) = event["exception"]["values"]
    assert error["type"] == "LookupError"
    assert [frame["function"] for frame in error["stacktrace"]["frames"]][-1] == "_faulty_copy"
