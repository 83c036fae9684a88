"""The door of a task: what is taken, and how everything else is refused without showing a value."""

import contextlib
import json
import math
import string
import time
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.errors import InvalidTask
from worker.task import LONGEST_DEADLINE_MS, Payload, Task, check_channel_id, check_task, check_task_id

MARKER = "geheim4711"
GOOD: dict[str, Any] = {
    "channel_id": "ch:customer:01089898989->13188888888:1609234221870:job-65735740600893440",
    "job_id": ":job-65735740600893440",
    "dtmf": "1234#",
}
TEXTS = ("channel_id", "job_id", "instance_id", "user_id", "device_id")


class _NoOffset(tzinfo):
    """A time zone that does not know its offset, which makes a datetime naive all the same."""

    def utcoffset(self, _when: datetime | None, /) -> None:
        return None

    def dst(self, _when: datetime | None, /) -> None:
        return None

    def tzname(self, _when: datetime | None, /) -> None:
        return None


def check(**given: Any) -> Task:
    return check_task(**{**GOOD, "default_expires_ms": 30_000, "default_gap_ms": 7, **given})


def refusal(**given: Any) -> str:
    with pytest.raises(InvalidTask) as caught:
        check(**given)
    assert caught.value.__cause__ is None
    return str(caught.value)


def test_three_arguments_make_a_task_and_the_rest_has_defaults() -> None:
    task = check()
    assert (task.channel_id, task.job_id, task.dial.keys) == (GOOD["channel_id"], GOOD["job_id"], "1234#")
    assert (task.instance_id, task.user_id, task.device_id) == (None, None, None)
    assert (task.deadline_ms, task.expires_in_ms, task.gap_ms) == (0, 30_000, 7)
    assert (task.on_failure, task.on_unknown) == ("cancel", "stop")


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("text", ["x", "x" * 256, "Käthe", "客服", "a b", "->&amp;\"'{}"])
def test_an_id_may_be_any_printable_text(name: str, text: str) -> None:
    assert getattr(check(**{name: text}), name) == text


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize(
    "value",
    [
        "",
        MARKER + "x" * 250,
        f"{MARKER}\n",
        f"{MARKER}\0",
        f" {MARKER}",
        f"{MARKER} ",
        f"{MARKER}\ud800",
        f"a\x7f{MARKER}",
        f"a\u2028{MARKER}",
        4711,
        MARKER.encode(),
        [MARKER],
    ],
)
def test_an_id_that_is_no_printable_text_is_refused_by_its_name(name: str, value: object) -> None:
    text = refusal(**{name: value})
    assert text.startswith(f"{name} ")
    assert "4711" not in text


@pytest.mark.parametrize("name", ["channel_id", "job_id", "dtmf"])
def test_the_ids_of_the_call_and_the_keys_cannot_be_left_empty(name: str) -> None:
    assert refusal(**{name: None}).startswith(f"{name} must be a string")


def test_a_channel_id_is_checked_alone_as_within_a_task() -> None:
    assert check_channel_id("ch") == "ch"
    with pytest.raises(InvalidTask, match="channel_id must be a string"):
        check_channel_id(None)


def test_a_deadline_is_a_moment_with_a_time_zone_or_seconds_since_1970() -> None:
    when = datetime.now(UTC) + timedelta(seconds=90)
    ms = int(when.timestamp() * 1000)
    assert check(deadline=when).deadline_ms == ms
    assert check(deadline=when.astimezone(timezone(timedelta(hours=8)))).deadline_ms == ms
    assert check(deadline=when.timestamp()).deadline_ms == ms
    assert check(deadline=int(when.timestamp())).deadline_ms == ms // 1000 * 1000


def test_a_deadline_takes_the_place_of_the_default_time() -> None:
    assert check(deadline=datetime.now(UTC) + timedelta(hours=1)).expires_in_ms == LONGEST_DEADLINE_MS


def test_a_deadline_in_the_past_is_for_the_queue_to_refuse_by_its_own_clock() -> None:
    assert check(deadline=1).deadline_ms == 1000


@pytest.mark.parametrize("name", ["deadline", "expires"])
@pytest.mark.parametrize(
    "value",
    [
        datetime(2099, 1, 1),  # noqa: DTZ001
        datetime(2099, 1, 1, tzinfo=_NoOffset()),
    ],
)
def test_a_moment_without_a_time_zone_is_refused(name: str, value: datetime) -> None:
    assert "time zone" in refusal(**{name: value})


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        -1,
        0,
        True,
        "2099-01-01T00:00:00Z",
        timedelta(1),
        date(2099, 1, 1),
        Decimal(4_000_000_000),
        10**400,
        1_764_000_000_000,  # milliseconds
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    ],
)
def test_what_is_no_moment_near_today_is_refused_as_a_deadline(value: object) -> None:
    assert refusal(deadline=value).startswith("deadline must ")


@pytest.mark.parametrize("ahead", [86_400 + 60, 10 * 86_400])
def test_a_deadline_more_than_a_day_ahead_is_refused(ahead: float) -> None:
    assert "a day ahead" in refusal(deadline=time.time() + ahead)


@pytest.mark.parametrize("name", ["expires_in", "expires"])
def test_a_time_from_now_may_be_seconds_or_a_timedelta(name: str) -> None:
    assert check(**{name: 2.5}).expires_in_ms == 2500
    assert check(**{name: 3}).expires_in_ms == 3000
    assert check(**{name: timedelta(minutes=2)}).expires_in_ms == 120_000
    assert check(**{name: 86_400}).expires_in_ms == LONGEST_DEADLINE_MS
    assert check(**{name: 0.0001}).expires_in_ms == 1


@pytest.mark.parametrize("name", ["expires_in", "expires"])
@pytest.mark.parametrize(
    "value",
    [
        *(math.nan, math.inf, -math.inf, -1, 0, True, False, 86_401, 10**400, Decimal(30), "30", [30]),
        *(timedelta(days=1, seconds=1), timedelta(0), timedelta(-1), timedelta.max, timedelta.min),
    ],
)
def test_what_is_no_time_within_a_day_is_refused(name: str, value: object) -> None:
    assert refusal(**{name: value}).startswith("expires_in (or expires) must be ")


def test_a_moment_is_no_time_from_now() -> None:
    assert refusal(expires_in=datetime.now(UTC)).startswith("expires_in (or expires) must be seconds")


def test_of_deadline_expires_in_and_expires_the_earliest_counts() -> None:
    now = datetime.now(UTC)
    soon, later = now + timedelta(minutes=1), now + timedelta(minutes=2)
    soon_ms = int(soon.timestamp() * 1000)
    assert check(deadline=soon, expires=later).deadline_ms == soon_ms
    assert check(deadline=later, expires=soon).deadline_ms == soon_ms
    assert check(expires_in=5, expires=6).expires_in_ms == 5000
    assert check(expires_in=6, expires=5).expires_in_ms == 5000
    both = check(deadline=later, expires=soon, expires_in=9)
    assert (both.deadline_ms, both.expires_in_ms) == (soon_ms, 9000)


@pytest.mark.parametrize("gap", [0, 1, 60_000])
def test_a_gap_is_whole_milliseconds_up_to_a_minute(gap: int) -> None:
    assert check(gap_ms=gap).gap_ms == gap


@pytest.mark.parametrize("gap", [-1, 60_001, 1.5, "100", True, math.nan, timedelta(1), 10**400])
def test_any_other_gap_is_refused(gap: object) -> None:
    assert refusal(gap_ms=gap) == "gap_ms must be a whole number from 0 to 60000"


@pytest.mark.parametrize(
    ("name", "good", "told"),
    [("on_failure", "continue", "cancel or continue"), ("on_unknown", "resend", "stop or resend")],
)
@pytest.mark.parametrize("wrong", [None, "", MARKER, "CANCEL", 1, ["cancel"], b"stop"])
def test_an_option_takes_its_words_and_no_others(name: str, good: str, told: str, wrong: object) -> None:
    assert getattr(check(**{name: good}), name) == good
    assert refusal(**{name: wrong}) == f"{name} must be {told}"


@pytest.mark.parametrize("task_id", ["a", "A-1.2_3:4", "0" * 128, "3f0e7e1e-0000-4000-8000-000000000000"])
def test_a_task_id_of_ones_own_may_be_any_plain_name(task_id: str) -> None:
    assert check_task_id(task_id) == task_id


@pytest.mark.parametrize(
    "task_id", ["", "0" * 129, "-a", ".a", "a/1/1", "a b", "a\n", "ä", "\uff11", "a\0", "a*", 1, None, b"a"]
)
def test_a_task_id_that_could_be_mistaken_for_something_else_is_refused(task_id: object) -> None:
    with pytest.raises(InvalidTask, match="task_id must be"):
        check_task_id(task_id)


RUBBISH = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=8)
    | st.datetimes()
    | st.datetimes(timezones=st.timezones())
    | st.timedeltas()
    | st.decimals()
    | st.lists(st.integers(), max_size=2)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)
    | st.just(object())
)
ARGUMENTS = (*TEXTS, "dtmf", "deadline", "expires_in", "expires", "gap_ms", "on_failure", "on_unknown")


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(ARGUMENTS), RUBBISH, max_size=4))
def test_whatever_is_handed_in_the_only_error_is_invalid_task(given: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidTask):
        check(**given)


@given(
    name=st.sampled_from(ARGUMENTS),
    value=st.sampled_from(
        [
            f"\t{MARKER}\t",
            [f"{MARKER}"],
            {MARKER: MARKER},
            f"{MARKER}\n".encode(),
            Decimal("4711.4711"),
            datetime(4711, 4, 7, 11, 47, 11),  # noqa: DTZ001
            timedelta(47114711),
            complex(4711, 4711),
        ]
    ),
    garnish=st.text(string.punctuation, max_size=5),
)
def test_a_refusal_never_shows_the_value(name: str, value: Any, garnish: str) -> None:
    if isinstance(value, str):
        value += garnish + "\t"
    text = refusal(**{name: value})
    assert MARKER not in text
    assert "4711" not in text


def test_a_payload_gives_the_run_what_the_producer_handed_in() -> None:
    task = check(dtmf="w12W#", instance_id="ccc-test", user_id="客服@ccc", gap_ms=250, on_unknown="resend")
    payload = Payload.from_json(task.to_payload())
    assert payload.keys == "12#"
    assert payload.pauses_ms == [0, 1000, 0]
    assert (payload.gap_ms, payload.on_unknown) == (250, "resend")
    for name in TEXTS:
        assert getattr(payload, name) == getattr(task, name)


def test_a_payload_of_a_newer_producer_is_understood() -> None:
    newer = {**json.loads(check().to_payload()), "voice": "loud", "later": {"a": 1}}
    assert Payload.from_json(json.dumps(newer)) == Payload.from_json(check().to_payload())


def test_neither_a_task_nor_its_payload_shows_itself() -> None:
    task = check(user_id=MARKER)
    payload = Payload.from_json(task.to_payload())
    for text in (repr(task), str(task), repr(payload), f"{payload}"):
        assert MARKER not in text
        assert "1318" not in text
        assert "1234" not in text
