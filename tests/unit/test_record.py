"""Records: their JSON, the schema that the docs show, and that a reader of today understands tomorrow's."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from worker.record import Digit, Outcome, Record, State

ROOT = Path(__file__).resolve().parents[2]
FULL: dict[str, Any] = {
    "v": 1,
    "id": "task-2",
    "ch": "0" * 32,
    "state": "cancelled",
    "digits": [
        {
            "index": 1,
            "outcome": "sent",
            "attempts": 2,
            "request_id": "req",
            "http_status": 200,
            "code": "OK",
            "started_at": 5,
            "ended_at": 6,
        },
        {"index": 2, "outcome": "not_sent", "attempts": 0},
    ],
    "enqueued_at": 1,
    "started_at": 2,
    "ended_at": 7,
    "deadline": 9,
    "error": "LineBroken",
    "code": "NotExists.JobId",
    "broken_by": "task-1",
    "worker": "dtmf1@host",
}


def test_a_record_goes_through_json_and_comes_back_the_same() -> None:
    record = Record.model_validate_json(json.dumps(FULL))
    assert record.outcome() == FULL
    assert Record.model_validate_json(record.model_dump_json()) == record
    assert json.loads(json.dumps(record.outcome())) == FULL


@pytest.mark.parametrize("state", State)
def test_each_state_is_a_plain_word_in_the_outcome(state: State) -> None:
    outcome = Record.model_validate({**FULL, "state": state}).outcome()
    assert outcome["state"] == str(state)
    assert type(outcome["state"]) is str


@pytest.mark.parametrize("outcome", Outcome)
def test_each_outcome_of_a_digit_is_a_plain_word(outcome: Outcome) -> None:
    digits = [{"index": 1, "outcome": outcome, "attempts": 1}]
    assert Record.model_validate({**FULL, "digits": digits}).outcome()["digits"][0]["outcome"] == str(outcome)


def test_fields_without_a_value_are_left_out() -> None:
    needed = ("id", "ch", "state", "digits", "enqueued_at", "ended_at", "deadline")
    record = Record.model_validate({name: FULL[name] for name in needed})
    assert set(record.outcome()) == {"v", *needed}


def test_a_field_of_a_newer_release_is_passed_over() -> None:
    newer = {**FULL, "mood": "good", "digits": [{**FULL["digits"][0], "tone": 697}]}
    assert "mood" not in Record.model_validate(newer).outcome()


@pytest.mark.parametrize("name", ["id", "ch", "state", "digits", "enqueued_at", "ended_at", "deadline"])
def test_a_record_without_what_every_record_has_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Record.model_validate({key: value for key, value in FULL.items() if key != name})


def test_the_schema_in_the_docs_is_the_one_of_the_records() -> None:
    written = json.loads((ROOT / "docs/record.schema.json").read_text(encoding="utf-8"))
    assert written == Record.model_json_schema(), "write it anew: python -m worker.record > docs/record.schema.json"


def test_the_command_that_the_docs_name_writes_the_schema() -> None:
    command = [sys.executable, "-m", "worker.record"]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout == (ROOT / "docs/record.schema.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", [Record, Digit])
def test_the_schema_says_what_each_field_means(model: type[Record | Digit]) -> None:
    assert all(field.description for field in model.model_fields.values())
