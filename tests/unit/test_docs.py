"""What the documents say holds: every setting is listed, and their examples run as they stand."""

import itertools
import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from config.settings import Settings
from worker.local.redis import LocalRedis
from worker.record import Digit, Outcome, Record, State

ROOT = Path(__file__).resolve().parents[2]
RECORDS = (ROOT / "docs/records.md").read_text(encoding="utf-8")
STREAM = "dtmf:records"


def example(language: str, word: str) -> str:
    """The one example of the page in this language that holds this word."""
    (code,) = [code for code in re.findall(rf"```{language}\n(.*?)```", RECORDS, re.DOTALL) if word in code]
    return str(code)


@pytest.fixture
def run_example(redis_server: LocalRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Run a Python example of the page and answer the function of that name in it; close its clients at the end."""
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    clients: list[Redis] = []
    from_url = Redis.from_url

    def keep(url: str, **options: Any) -> Redis:
        clients.append(from_url(url, **options))
        return clients[-1]

    monkeypatch.setattr(Redis, "from_url", keep)

    def run(name: str) -> Any:
        names: dict[str, Any] = {}
        exec(compile(example("python", f"def {name}("), "docs/records.md", "exec"), names)  # noqa: S102
        return names[name]

    yield run
    for client in clients:
        client.close()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_readme_lists_every_setting(name: str) -> None:
    """With its default as it is, and what it means in the same words."""
    field = Settings.model_fields[name]
    default = "required" if field.is_required() else field.default
    if default is None or isinstance(default, bool):
        default = {None: "", False: "off", True: "on"}[default]
    (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert row.partition(" | ")[0].strip(" |") == str(default)
    assert row.partition("| ")[2] == field.description


@pytest.mark.parametrize("name", [*Record.model_fields, *Digit.model_fields])
def test_the_page_about_records_explains_every_field(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", RECORDS, re.MULTILINE)


@pytest.mark.parametrize("word", [*State, *Outcome])
def test_the_page_about_records_explains_every_outcome(word: str) -> None:
    assert word in {State.QUEUED, State.SENDING} or f"`{word}`" in RECORDS


def test_the_example_of_a_record_is_one() -> None:
    shown = json.loads(example("json", "digits"))
    assert Record.model_validate(shown).outcome() == shown
    # Every field but broken_by, which goes with another state.
    assert set(shown) == set(Record.model_fields) - {"broken_by"}
    assert all(set(digit) == set(Digit.model_fields) for digit in shown["digits"])


def test_the_example_follows_the_stream_from_any_place(redis_client: Redis, run_example: Callable[[str], Any]) -> None:
    for number in range(3):
        redis_client.xadd(STREAM, {"record": json.dumps({"id": f"task-{number}"})})
    follow = run_example("follow")
    seen = list(itertools.islice(follow(), 3))
    assert [record["id"] for _, record in seen] == ["task-0", "task-1", "task-2"]
    place, _ = seen[1]
    assert next(follow(place))[1]["id"] == "task-2"


def test_the_example_with_a_group_loses_nothing_when_its_process_dies(
    redis_client: Redis, run_example: Callable[[str], Any]
) -> None:
    follow_as = run_example("follow_as")
    for number in range(3):
        redis_client.xadd(STREAM, {"record": json.dumps({"id": f"task-{number}"})})
    reader = follow_as("crm", "crm-1")
    assert next(reader)["id"] == "task-0"
    assert next(reader)["id"] == "task-1"
    reader.close()  # it dies before it acknowledges task-1
    reader = follow_as("crm", "crm-1")
    assert [record["id"] for record in itertools.islice(reader, 2)] == ["task-1", "task-2"]
    redis_client.xadd(STREAM, {"record": json.dumps({"id": "task-3"})})
    assert next(reader)["id"] == "task-3"
    reader.close()
    assert redis_client.xpending(STREAM, "crm")["pending"] == 1


def test_the_example_with_a_group_may_start_before_the_first_record(
    redis_client: Redis, run_example: Callable[[str], Any]
) -> None:
    reader = run_example("follow_as")("crm", "crm-1")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(next, reader)
        end = time.monotonic() + 10
        while not redis_client.exists(STREAM):
            assert time.monotonic() < end, "the example made no group"
            time.sleep(0.01)
        redis_client.xadd(STREAM, {"record": json.dumps({"id": "task-0"})})
        assert first.result(10)["id"] == "task-0"
    reader.close()
