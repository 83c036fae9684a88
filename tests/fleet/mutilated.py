"""Messages as nobody should write them: well-formed ones of both protocols, mutilated by hypothesis."""

import base64
import json
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fleet.foreign import protocol_1, protocol_2

PIN = "7391740#"
CALLER, CALLED = "01077733355", "13944466622"
_HUGE = 70_000
_DEEP = 20_000
_AT_ONCE = 20

_ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, -1, 10**30, 1e308, float("nan"), "", "x", "\ud800", "dtmf.send ", [], {}, [[]], {"a": {"b": [1]}}]
)
_KEYS = st.sampled_from(["", "ID", "Task", "kwargs ", "dtmf\0", "channel-id", "body_encoding", "correlation_id", "é"])
_WHOLE = st.sampled_from(
    [b"", b"\0", b"null", b"[]", b"{}", b"\xff\xfe", b"\xed\xa0\x80", b'"', b"NaN", b"-", b"1e999"]
)
_TAIL = st.sampled_from([b"}", b"{}", b"\0", b"\xff", b",", b"\xc3\xa9"])


def _kwargs(name: str) -> dict[str, Any]:
    return {"channel_id": f"ch:customer:{CALLER}->{CALLED}:{name}", "job_id": f"job-{name}", "dtmf": PIN}


def _encoded(message: dict[str, Any]) -> bytearray:
    return bytearray(json.dumps(message).encode())


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Where a field may be missing or wrong; most properties mean nothing to the intake, so those are rare."""
    return [message, message, message, message["headers"] or message, message["properties"]]


def _flip(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    raw = _encoded(message)
    for place in draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[place] ^= draw(st.integers(1, 255))
    return bytes(raw)


def _cut(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    raw = _encoded(message)
    return bytes(raw[: draw(st.integers(0, len(raw) - 1))]) + draw(st.just(b"") | _TAIL)


def _drop(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    part = draw(st.sampled_from(_parts(message)))
    del part[draw(st.sampled_from(sorted(part)))]
    return bytes(_encoded(message))


def _retype(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    part = draw(st.sampled_from(_parts(message)))
    part[draw(st.sampled_from(sorted(part)) | _KEYS)] = draw(_ODD)
    return bytes(_encoded(message))


def _rewrite_body(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    """The body still is JSON: fields of it, or of its arguments, are of wrong types, missing or too many."""
    body = json.loads(base64.b64decode(message["body"]))
    kwargs = body[1] if isinstance(body, list) else body["kwargs"]
    parts = [kwargs, body] if isinstance(body, dict) else [kwargs]
    part = draw(st.sampled_from(parts))
    name = draw(st.sampled_from(sorted(part)) | _KEYS)
    if draw(st.booleans()):
        part.pop(name, None)
    else:
        part[name] = draw(_ODD)
    if isinstance(body, list) and draw(st.booleans()):
        body[draw(st.integers(0, 2))] = draw(_ODD)
    return bytes(_encoded({**message, "body": base64.b64encode(json.dumps(body).encode()).decode()}))


def _scramble_body(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    body = bytearray(base64.b64decode(message["body"]))
    body[draw(st.integers(0, len(body) - 1))] ^= draw(st.integers(1, 255))
    encoded = base64.b64encode(bytes(body)).decode()
    return bytes(_encoded({**message, "body": encoded[draw(st.sampled_from([0, 0, 1, 2])) :]}))


def _nest(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    raw = bytes(_encoded(message))
    match draw(st.integers(0, 3)):
        case 0:
            return b"[" + raw + b"]"
        case 1:
            return b'{"message": ' + raw + b"}"
        case 2:
            return b"[" * _DEEP + raw + b"]" * _DEEP
        case _:
            return json.dumps(raw.decode()).encode()


def _swell(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    return bytes(_encoded({**message, draw(_KEYS): "x" * _HUGE}))


def _replace(draw: st.DrawFn, message: dict[str, Any]) -> bytes:
    del message
    return draw(_WHOLE | st.binary(max_size=40))


# Nesting 20,000 deep and swelling to 70,000 are rare, so that the whole stays small.
_WAYS: list[Callable[[st.DrawFn, dict[str, Any]], bytes]] = [
    *[_flip, _cut, _drop, _retype, _rewrite_body, _scramble_body] * 8,
    *[_nest, _replace] * 2,
    _swell,
]


def mutilated_messages(number: int) -> list[bytes]:
    """So many messages, the same in every run; digits and phone numbers of theirs are PIN, CALLER and CALLED."""
    found: list[bytes] = []

    @settings(
        max_examples=number // _AT_ONCE + 1,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        for _ in range(_AT_ONCE):
            # Of one length: hypothesis must find the same choices in each message.
            name = f"dead-{len(found):06}"
            protocol = protocol_1 if data.draw(st.booleans()) else protocol_2
            way = data.draw(st.sampled_from(_WAYS))
            found.append(way(data.draw, protocol(_kwargs(name), name)))

    while len(found) < number:
        collect()
    return found[:number]
