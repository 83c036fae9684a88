"""A foreign producer's message: what is read, and that of everything else nothing is shown."""

import base64
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from config.settings import Settings
from tests.fleet.foreign import protocol_1, protocol_2
from tests.producer.crm import set_environment
from worker.message import LARGEST_BYTES, BadMessage, read_message, read_task
from worker.task import LONGEST_DEADLINE_MS, Task

MARKER = "geheim4711"
CALL: dict[str, Any] = {
    "channel_id": "ch:customer:01089898989->13188888888:1609234221870:job-65735740600893440",
    "job_id": ":job-65735740600893440",
    "dtmf": "8305#",
}
PERSONAL = ("8305", "01089898989", "13188888888", "65735740600893440", MARKER)


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    """A worker's."""
    with pytest.MonkeyPatch.context() as patch:
        set_environment(patch, "redis://127.0.0.1:6379/0", CCC_USER_ID="agent", DTMF_GAP_MS=40)
        yield Settings.load(worker=False)


def as_text(message: dict[str, Any]) -> str:
    return json.dumps(message)


def problem(raw: str, settings: Settings) -> BadMessage:
    """Why a message is refused; it chains and shows nothing of it."""
    with pytest.raises(BadMessage) as caught:
        read_task(raw, settings)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None
    assert not [secret for secret in PERSONAL if secret in str(error)]
    return error


def with_body(body: str, **outer: Any) -> str:
    return as_text({**protocol_2(CALL, "t1"), "body": body, **outer})


def base64_of(value: object) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.b64encode(text).decode()


# What is read


@pytest.mark.parametrize(
    "message",
    [
        protocol_2(CALL, "t1"),
        protocol_2(CALL, "t1", argsrepr="()", timelimit=[None, None], shadow=None, later={"a": 1}),
        protocol_1(CALL, "t1"),
        protocol_1(CALL, "t1", plain=True),
        protocol_1(CALL, "t1", callbacks=None, errbacks=None, chord=None, utc=True, later=1),
        {**protocol_2(CALL, "t1"), "content-encoding": "UTF-8"},
        {**protocol_1(CALL, "t1"), "content-encoding": "binary"},
        {**protocol_1(CALL, "t1"), "headers": None},
        {**protocol_2(CALL, "t1"), "body": base64_of([[], CALL, {"callbacks": None, "chain": [], "chord": None}])},
        {**protocol_2(CALL, "t1"), "body": base64_of([None, CALL, None])},
        {**protocol_2(CALL, "t1"), "body": base64_of([[], CALL])},
        {**protocol_2(CALL, "t1"), "body": json.dumps([[], CALL, {}]), "properties": {}},
    ],
    ids=lambda message: "1" if message["headers"] in ({}, None) else "2",
)
def test_both_protocols_are_read(settings: Settings, message: dict[str, Any]) -> None:
    task_id, task = read_task(as_text(message), settings)
    assert (task_id, task.channel_id, task.job_id) == ("t1", CALL["channel_id"], CALL["job_id"])
    assert (task.dial.keys, task.user_id, task.gap_ms) == ("8305#", "agent", 40)
    assert (task.deadline_ms, task.expires_in_ms, task.start_at_ms) == (0, settings.DTMF_DEADLINE_MS, 0)


@pytest.mark.parametrize("protocol", [protocol_1, protocol_2])
def test_the_options_of_a_task_and_celerys_own_are_read(settings: Settings, protocol: Callable[..., Any]) -> None:
    soon, later = (datetime.now(UTC) + timedelta(seconds=seconds) for seconds in (60, 120))
    kwargs = {**CALL, "gap_ms": 5, "on_failure": "continue", "user_id": None, "deadline": later.isoformat()}
    message = protocol(kwargs, "t1", eta=soon.isoformat(), expires=later.replace(tzinfo=None).isoformat())
    _, task = read_task(as_text(message), settings)
    assert (task.gap_ms, task.on_failure, task.user_id) == (5, "continue", "agent")
    assert task.start_at_ms == int(soon.timestamp() * 1000)
    # Without a zone a time is UTC, as Celery writes it.
    assert task.deadline_ms == int(later.timestamp() * 1000)
    assert task.expires_in_ms == LONGEST_DEADLINE_MS


def test_a_countdown_makes_the_default_deadline_later(settings: Settings) -> None:
    eta = (datetime.now(UTC) + timedelta(seconds=100)).isoformat()
    _, task = read_task(as_text(protocol_2(CALL, "t1", eta=eta)), settings)
    assert 90_000 < task.expires_in_ms - settings.DTMF_DEADLINE_MS <= 100_000


# What is not, and how it is named

NO_ID = [
    ("", "the message is not JSON"),
    (MARKER, "the message is not JSON"),
    ('{"a": ' * 30_000, "bytes"),
    ("[" * 60_000, "the message is not JSON"),
    ("1" * 5000, "the message is not JSON"),
    ('"\udcff\udcfe', "the message is not JSON"),
    (f'["{MARKER}"]', "the message is not a JSON object"),
    ("null", "the message is not a JSON object"),
    ("NaN", "the message is not a JSON object"),
    ("{}", "content type"),
    (as_text({**protocol_2(CALL), "headers": [MARKER]}), "headers or properties are not a JSON object"),
    (as_text({**protocol_2(CALL), "properties": MARKER}), "headers or properties are not a JSON object"),
    (as_text(protocol_1(CALL, None)), "the message has no id"),  # type: ignore[arg-type]
    (as_text(protocol_1(CALL, [MARKER])), "the message's id is no task id"),  # type: ignore[arg-type]
    (as_text(protocol_1(CALL, f"{MARKER} 1")), "the message's id is no task id"),
    (as_text({**protocol_2(CALL), "headers": {"task": "dtmf.send"}}), "the message has no id"),
]


@pytest.mark.parametrize(("raw", "said"), NO_ID)
def test_a_message_without_an_id_is_named(settings: Settings, raw: str, said: str) -> None:
    error = problem(raw, settings)
    assert said in str(error)
    assert error.task_id is None


WITH_ID = [
    ({"content-type": "application/x-python-serialize"}, "content type is not application/json"),
    ({"content-type": [MARKER]}, "content type is not application/json"),
    ({"content-encoding": "gzip"}, "must not be compressed"),
    ({"content-encoding": None}, "content encoding is not utf-8"),
    ({"body": None}, "the message has no body"),
    ({"body": [[], CALL, {}]}, "the message has no body"),
    ({"body": f"%{MARKER}"}, "not the base64 of UTF-8"),
    ({"body": f"{MARKER}é"}, "not the base64 of UTF-8"),
    ({"body": base64_of(b"\xff\xfe")}, "not the base64 of UTF-8"),
    ({"body": base64_of(MARKER.encode())}, "the message's body is not JSON"),
    ({"body": base64_of(b"[" * 30_000)}, "the message's body is not JSON"),
    ({"body": base64_of(CALL)}, "the message's body is not [args, kwargs, embed]"),
    ({"body": base64_of([[], CALL, MARKER])}, "the message's body is not [args, kwargs, embed]"),
    ({"body": base64_of([[], CALL, {}, {}])}, "the message's body is not [args, kwargs, embed]"),
    ({"body": base64_of(MARKER), "headers": {"id": "t1"}}, "of neither of Celery's protocols"),
    ({"body": base64_of([[MARKER], CALL, {}])}, "the arguments of dtmf.send are named"),
    ({"body": base64_of([[], [MARKER], {}])}, "kwargs are not a JSON object"),
    ({"body": base64_of([[], CALL, {"callbacks": [MARKER]}])}, "callbacks, chains and chords"),
    ({"body": base64_of([[], CALL, {"errbacks": [MARKER]}])}, "callbacks, chains and chords"),
    ({"body": base64_of([[], CALL, {"chain": [MARKER]}])}, "callbacks, chains and chords"),
    ({"body": base64_of([[], CALL, {"chord": MARKER}])}, "callbacks, chains and chords"),
    ({"body": base64_of([[], {}, {}])}, "dtmf.send needs channel_id and dtmf and job_id"),
    ({"body": base64_of([[], None, {}])}, "dtmf.send needs channel_id and dtmf and job_id"),
    ({"body": base64_of([[], {**CALL, "dtmf": 8305}, {}])}, "dtmf must be a string, not int"),
    ({"body": base64_of([[], {**CALL, "dtmf": "8305x"}, {}])}, "dtmf: character 'x' at position 5"),
    ({"body": base64_of([[], {**CALL, "job_id": f"{MARKER}\ud800"}, {}])}, "job_id holds a control character"),
    ({"body": base64_of([[], {**CALL, "channel_id": MARKER * 50}, {}])}, "channel_id must have 1 to 256"),
    ({"body": base64_of([[], {**CALL, "expires_in": 10**400}, {}])}, "expires_in (or expires) must be more than 0"),
    ({"body": base64_of([[], {**CALL, "expires_in": float("nan")}, {}])}, "expires_in (or expires) must be more"),
    ({"body": base64_of([[], {**CALL, "deadline": MARKER}, {}])}, "deadline is not a time as 2026-"),
    ({"body": base64_of([[], {**CALL, "on_failure": [MARKER]}, {}])}, "on_failure must be cancel or continue"),
    ({"body": base64_of([[], {**CALL, "8305": 5}, {}])}, "dtmf.send takes no argument ?; it takes"),
    ({"body": base64_of([[], {**CALL, "priority": 5}, {}])}, "dtmf.send takes no argument priority; it takes"),
    ({"headers": {"task": MARKER, "id": "t1"}}, "the message is not for dtmf.send"),
    ({"headers": {"task": None, "id": "t1"}}, "the message is not for dtmf.send"),
    ({"headers": {"task": "dtmf.send", "id": "t1", "eta": MARKER}}, "eta is not a time as 2026-"),
    ({"headers": {"task": "dtmf.send", "id": "t1", "eta": 8305}}, "eta is not a time as 2026-"),
    ({"headers": {"task": "dtmf.send", "id": "t1", "expires": "0001-01-01T00:00:00+23:59"}}, "expires must be"),
    ({"headers": {"task": "dtmf.send", "id": "t1", "expires": "9999-12-31T23:59:59-23:59"}}, "expires must be"),
]


@pytest.mark.parametrize(("change", "said"), WITH_ID)
def test_what_is_wrong_with_a_message_of_protocol_2_is_named(
    settings: Settings, change: dict[str, Any], said: str
) -> None:
    error = problem(as_text({**protocol_2(CALL, "t1"), **change}), settings)
    assert said in str(error)
    assert error.task_id == "t1"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": MARKER}, "the message is not for dtmf.send"),
        ({"task": None}, "the message is not for dtmf.send"),
        ({"args": [MARKER]}, "the arguments of dtmf.send are named"),
        ({"kwargs": MARKER}, "kwargs are not a JSON object"),
        ({"callbacks": [MARKER]}, "callbacks, chains and chords"),
        ({"errbacks": [MARKER]}, "callbacks, chains and chords"),
        ({"chord": {"a": MARKER}}, "callbacks, chains and chords"),
        ({"taskset": MARKER}, "callbacks, chains and chords"),
        ({"eta": MARKER}, "eta is not a time as 2026-"),
        ({"expires": 60}, "expires is not a time as 2026-"),
    ],
)
def test_what_is_wrong_with_a_message_of_protocol_1_is_named(
    settings: Settings, change: dict[str, Any], said: str
) -> None:
    body = {**json.loads(protocol_1(CALL, "t1", plain=True)["body"]), **change}
    error = problem(as_text({**protocol_1(CALL, "t1", plain=True), "body": json.dumps(body)}), settings)
    assert said in str(error)
    assert error.task_id == "t1"


@pytest.mark.parametrize("name", [MARKER, "8305", "_8305", "pin8305", f"{MARKER} ", "ünder", "x" * 40, "\ud800"])
def test_an_unknown_argument_that_could_be_a_value_is_not_shown(settings: Settings, name: str) -> None:
    error = problem(as_text(protocol_2({**CALL, name: 1}, "t1")), settings)
    assert "dtmf.send takes no argument ?; it takes" in str(error)


def test_a_message_may_be_so_large_and_no_larger(settings: Settings) -> None:
    raw = as_text(protocol_2(CALL, "t1", filler=""))
    room = LARGEST_BYTES - len(raw)
    assert read_task(raw.replace('"filler": "', '"filler": "' + "x" * room), settings)[0] == "t1"
    error = problem(raw.replace('"filler": "', '"filler": "' + "x" * (room + 1)), settings)
    assert f"more than {LARGEST_BYTES} bytes" in str(error)


def test_a_message_does_not_show_itself() -> None:
    assert not [secret for secret in PERSONAL if secret in repr(read_message(as_text(protocol_2(CALL, "t1"))))]


# Whatever comes: a task, or what is wrong

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()))
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["id", "task", "args", "kwargs", "eta", "expires", "callbacks", "chord", "headers", "body"])
TIMES = st.datetimes(timezones=st.none() | st.timezones()).map(datetime.isoformat)
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        name: st.just(CALL.get(name)) | TIMES | JSON
        for name in (*CALL, "deadline", "expires_in", "gap_ms", "on_failure", "on_unknown", "user_id")
    },
)
ODD_FIELDS = st.dictionaries(NAMES, JSON | TIMES, max_size=3)


@st.composite
def near_messages(draw: st.DrawFn) -> str:
    """A message in which fields have any value at all."""
    kwargs = draw(ARGUMENTS | JSON)
    if draw(st.booleans()):
        message = protocol_2(kwargs, "t1")
        message["headers"] |= draw(ODD_FIELDS)
        message["body"] = draw(st.just(message["body"]) | JSON.map(base64_of))
    else:
        odd = {name: value for name, value in draw(ODD_FIELDS).items() if name != "kwargs"}
        message = protocol_1(kwargs, "t1", plain=draw(st.booleans()))
        message["body"] = json.dumps({"id": "t1", "task": "dtmf.send", "kwargs": kwargs, **odd})
    outer = {name.replace("_", "-"): value for name, value in draw(st.dictionaries(NAMES, JSON, max_size=1)).items()}
    return json.dumps({**message, **outer})


def is_read_or_refused(raw: str, settings: Settings) -> None:
    refused = None
    try:
        task_id, task = read_task(raw, settings)
    except BadMessage as error:
        refused = error
    if refused:
        assert refused.task_id is None or refused.task_id.isascii()
        assert len(str(refused)) < 400
        assert refused.__context__ is None
        return
    assert task_id
    assert isinstance(task, Task)
    # Nothing fails of it on the rest of its way to the queue either.
    assert task.to_payload().encode()
    assert task.channel_id.encode()


@given(raw=st.text(st.characters(exclude_categories=())))
def test_of_any_text(settings: Settings, raw: str) -> None:
    is_read_or_refused(raw, settings)


@given(raw=st.binary())
@example(raw=b"\xed\xa0\x80")
def test_of_any_bytes(settings: Settings, raw: bytes) -> None:
    is_read_or_refused(raw.decode(errors="surrogateescape"), settings)


@given(value=JSON)
def test_of_any_json(settings: Settings, value: Any) -> None:
    is_read_or_refused(json.dumps(value), settings)
    is_read_or_refused(with_body(base64_of(value)), settings)
    is_read_or_refused(with_body(json.dumps(value), properties={}, headers={}), settings)


@given(raw=near_messages())
def test_of_any_message_that_is_nearly_right(settings: Settings, raw: str) -> None:
    is_read_or_refused(raw, settings)


@given(place=st.integers(0, 700), byte=st.integers(0, 255), cut=st.none() | st.integers(0, 700), protocol=st.booleans())
def test_of_any_message_with_a_byte_that_is_wrong(
    settings: Settings, place: int, byte: int, cut: int | None, protocol: bool
) -> None:
    raw = bytearray(as_text(protocol_2(CALL, "t1") if protocol else protocol_1(CALL, "t1", plain=True)).encode())
    raw[place % len(raw)] = byte
    is_read_or_refused(bytes(raw[:cut]).decode(errors="surrogateescape"), settings)
