"""Whatever stands at the door: a typed error that shows nothing of it, or one task, and nothing else in Redis."""

import json
import traceback
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.producer.crm import CALL
from worker.errors import DtmfError, InvalidTask
from worker.producer import SendDtmf
from worker.vault import channel_digest

NASTY = [
    "\n",
    "\r\n",
    "\0",
    "{}",
    "{ch}",
    "*",
    "dtmf:q:",
    "../",
    "'; FLUSHALL",
    "%s",
    "\u202e",
    "\ud800",
    "é" * 5000,
    "x" * 10_000,
]
texts = st.one_of(
    st.text(max_size=300), st.sampled_from(NASTY), st.lists(st.sampled_from(NASTY), max_size=3).map("".join)
)
values = st.recursive(
    st.one_of(texts, st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=40)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
often = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
# Long enough to be no part of a message of ours by chance.
SHOWN = 6


def enqueue(send_dtmf: SendDtmf, /, **options: Any) -> str | DtmfError:
    """The id of the one task that was enqueued, or the error, which must be ours."""
    try:
        return send_dtmf.apply_async(**options).id
    except DtmfError as error:
        return error


def no_trace(error: DtmfError, *rubbish: Any) -> None:
    """An error shows none of the values it refuses, nor does anything that it chains."""
    shown = "".join(traceback.format_exception(error)[-1:]) + str(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    for value in rubbish:
        if isinstance(value, str) and len(value) >= SHOWN:
            assert value not in shown


def values_of(arguments: dict[str, Any]) -> list[Any]:
    """Without those that are part of a name: which argument is wrong, the error says."""
    return [v for v in arguments.values() if not (isinstance(v, str) and any(v in name for name in arguments))]


def names(client: Redis) -> set[str]:
    return set(client.scan_iter(count=1000))


@often
@given(channel_id=values, job_id=values, dtmf=values)
def test_arguments(send_dtmf: SendDtmf, redis_client: Redis, channel_id: Any, job_id: Any, dtmf: Any) -> None:
    redis_client.flushall()
    done = enqueue(send_dtmf, kwargs={"channel_id": channel_id, "job_id": job_id, "dtmf": dtmf})
    if isinstance(done, DtmfError):
        no_trace(done, channel_id, job_id, dtmf)
        assert names(redis_client) == set()


@often
@given(channel_id=texts)
@example("ch:{1}:q:")
@example("a b")
def test_channel_ids(send_dtmf: SendDtmf, redis_client: Redis, channel_id: str) -> None:
    redis_client.flushall()
    done = enqueue(send_dtmf, kwargs={**CALL, "channel_id": channel_id})
    if isinstance(done, DtmfError):
        assert type(done) is InvalidTask
        no_trace(done, channel_id)
        assert names(redis_client) == set()
        return
    ch = channel_digest(channel_id)
    ours = {name for name in names(redis_client) if name.startswith("dtmf:")}
    assert ours == {f"dtmf:ch:{ch}", f"dtmf:q:{ch}", f"dtmf:t:{done}", f"dtmf:p:{done}", "dtmf:due", "dtmf:waiting"} - {
        name for name in (f"dtmf:ch:{ch}",) if not redis_client.exists(name)
    }


@often
@given(task_id=values)
@example("a:b:c")
@example("due")
@example("-1")
def test_task_ids(send_dtmf: SendDtmf, redis_client: Redis, task_id: Any) -> None:
    redis_client.flushall()
    first = enqueue(send_dtmf, kwargs=CALL, task_id="t")
    before = names(redis_client)
    done = enqueue(send_dtmf, kwargs=CALL, task_id=task_id)
    if isinstance(done, DtmfError):
        assert type(done) is InvalidTask
        no_trace(done, task_id)
        assert names(redis_client) == before
    elif done != first:
        assert names(redis_client) - before == {f"dtmf:t:{done}", f"dtmf:p:{done}"}
    for ask in (send_dtmf.status, send_dtmf.cancel, send_dtmf.api_answer):
        try:
            ask(task_id)
        except DtmfError as error:
            no_trace(error, task_id)


@often
@example(options={"000000": "000000"})
@given(
    options=st.dictionaries(st.one_of(texts, st.sampled_from(["expires", "eta", "countdown", "link", "queue"])), values)
)
def test_options(send_dtmf: SendDtmf, redis_client: Redis, options: dict[str, Any]) -> None:
    redis_client.flushall()
    options = {name: value for name, value in options.items() if name not in {"args", "kwargs", "task_id", "self"}}
    done = enqueue(send_dtmf, kwargs=CALL, **options)
    if isinstance(done, DtmfError):
        no_trace(done, *values_of(options))
        assert names(redis_client) == set()


@often
@given(more=st.dictionaries(texts, values, min_size=1, max_size=4))
def test_further_arguments(send_dtmf: SendDtmf, redis_client: Redis, more: dict[str, Any]) -> None:
    redis_client.flushall()
    done = enqueue(send_dtmf, kwargs={**CALL, **more})
    if isinstance(done, DtmfError):
        no_trace(done, *values_of(more))
        assert names(redis_client) == set()


@often
@given(
    tasks=st.lists(st.one_of(values, st.dictionaries(st.sampled_from([*CALL, "task_id", "eta"]), values)), min_size=1)
)
def test_many(send_dtmf: SendDtmf, redis_client: Redis, tasks: list[Any]) -> None:
    redis_client.flushall()
    try:
        send_dtmf.send_many(tasks)
    except InvalidTask as error:
        no_trace(error)
        assert names(redis_client) == set()


def test_two_ids_never_share_a_key(send_dtmf: SendDtmf, redis_client: Redis) -> None:
    ids = ["a", "A", "a:", "a:a", "a.a", "a-a", "a_a", "q", "ch", "rec", "q:a", "rec:a", "due", "waiting", "0", "00"]
    for task_id in ids:
        send_dtmf.apply_async(kwargs=CALL, task_id=task_id)
    assert {name for name in names(redis_client) if name.startswith("dtmf:t:")} == {f"dtmf:t:{one}" for one in ids}
    assert int(redis_client.get("dtmf:waiting") or 0) == len(ids)
    for task_id in ids:
        status = send_dtmf.status(task_id)
        assert status
        assert status.id == task_id
        assert json.dumps(status.digits) == "8"


@pytest.mark.parametrize("channel_id", ["ch:1", "ch:1 ", " ch:1", "CH:1", "ch:1\u200b", "ch:\uff11"])
def test_channel_ids_that_look_alike_are_not_one_channel(
    send_dtmf: SendDtmf, redis_client: Redis, channel_id: str
) -> None:
    enqueue(send_dtmf, kwargs={**CALL, "channel_id": "ch:1"})
    enqueue(send_dtmf, kwargs={**CALL, "channel_id": channel_id})
    waiting: Any = redis_client.llen(f"dtmf:q:{channel_digest('ch:1')}")
    assert waiting == (2 if channel_id == "ch:1" else 1)
