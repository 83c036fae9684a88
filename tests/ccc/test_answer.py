"""The answer: every field of the specification, every odd shape, and anything at all that a server may send."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from worker.ccc.answer import MAX_BODY_BYTES, Answer, CallContext, ChannelContext, Data, UserContext, parse_answer
from worker.ccc.classify import raise_for
from worker.ccc.errors import ApiError, Unanswered

# The specification's own example, odd shapes and all.
EXAMPLE: dict[str, Any] = {
    "Code": "OK",
    "HttpStatusCode": 200,
    "Message": "",
    "Params": [],
    "RequestId": "0F93B8A9-5C0C-4C1F-B1F4-5A3B8A6D2E11",
    "Data": {
        "CallContext": {
            "CallType": "OUTBOUND",
            "InstanceId": "ccc-test",
            "JobId": "job-65735740600893440",
            "ChannelContexts": {
                "AssociatedData": {},
                "CallType": "OUTBOUND",
                "ChannelFlags": "[]",
                "ChannelId": 'ch:user:1318888888-&amp;gt;80011474:1609234221870:job-65735740600893440"',
                "ChannelState": "CREATED",
                "Destination": 80011474,
                "Index": 0,
                "JobId": "job-65735740600893440",
                "Originator": 1012345678,
                "ReleaseInitiator": "",
                "ReleaseReason": "404 - No answer",
                "SkillGroupId": "skillgroup@ccc-test",
                "Timestamp": 1609234221888,
                "UserExtension": "80011474",
                "UserId": "user-test@ccc-test",
            },
        },
        "UserContext": {
            "BreakCode": "Warm-up",
            "DeviceId": "ACC-YUNBS-1.0.10-bse05179638553000176add4046f",
            "Extension": 80011474,
            "Heartbeat": 1609234224008,
            "InstanceId": "ccc-test",
            "JobId": "job-65735740600893440",
            "Mobile": 13900000001,
            "OutboundScenario": True,
            "Reserved": 1609234224008,
            "SignedSkillGroupIdList": '["skill-group@ccc-test"]',
            "UserId": "user-test@ccc-test",
            "UserState": "DIALING",
            "WorkMode": "ON_SITE",
        },
    },
}


def _body(**fields: Any) -> bytes:
    return json.dumps({"Code": "OK", **fields}).encode()


def _parse(body: bytes) -> Answer:
    return parse_answer(200, "application/json", body)


def _channel(**fields: Any) -> ChannelContext:
    call = _parse(_body(Data={"CallContext": {"ChannelContexts": [fields]}})).data.call_context
    assert call is not None
    return call.channel_contexts[0]


def _user(**fields: Any) -> UserContext:
    user = _parse(_body(Data={"UserContext": fields})).data.user_context
    assert user is not None
    return user


def test_the_specifications_example_comes_out_as_its_schema_says() -> None:
    answer = _parse(json.dumps(EXAMPLE).encode())
    assert answer.model_dump() == {
        **EXAMPLE,
        "Data": {
            "CallContext": {
                **EXAMPLE["Data"]["CallContext"],
                "ChannelContexts": [
                    {
                        **EXAMPLE["Data"]["CallContext"]["ChannelContexts"],
                        "ChannelId": "ch:user:1318888888->80011474:1609234221870:job-65735740600893440",
                        "Destination": "80011474",
                        "Originator": "1012345678",
                    }
                ],
            },
            "UserContext": {
                **EXAMPLE["Data"]["UserContext"],
                "Extension": "80011474",
                "Mobile": "13900000001",
                "SignedSkillGroupIdList": ["skill-group@ccc-test"],
            },
        },
    }
    raise_for(answer)


def test_the_example_names_every_field_of_the_model() -> None:
    """So that the test above covers the whole specification."""
    call, user = EXAMPLE["Data"]["CallContext"], EXAMPLE["Data"]["UserContext"]
    shapes: list[tuple[type[BaseModel], dict[str, Any]]] = [
        (Answer, EXAMPLE),
        (Data, EXAMPLE["Data"]),
        (CallContext, call),
        (ChannelContext, call["ChannelContexts"]),
        (UserContext, user),
    ]
    for model, example in shapes:
        assert {field.alias for field in model.model_fields.values()} == set(example)


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        ("Destination", "0800", "0800"),
        ("Destination", 80011474, "80011474"),
        ("Destination", 1.39e10, "13900000000"),
        ("Destination", 1.5, "1.5"),
        ("Destination", True, "true"),
        ("Destination", None, None),
        ("Destination", ["80011474"], None),
        ("Destination", {"a": 1}, None),
        ("ChannelFlags", "[]", "[]"),
        ("ChannelId", "ch:a->b", "ch:a->b"),
        ("ChannelId", "ch:a-&gt;b", "ch:a->b"),
        ("ChannelId", 'ch:a-&amp;gt;b"', "ch:a->b"),
        ("ChannelId", ' "ch:a-&amp;gt;b" ', "ch:a->b"),
        ("ChannelId", None, None),
        ("Index", "3", 3),
        ("Index", 3.0, 3),
        ("Index", "three", None),
        ("Index", True, None),
        ("Timestamp", " 1609234221888 ", 1609234221888),
        ("Timestamp", "-1", -1),
        ("Timestamp", "", None),
        ("Timestamp", 10**30, None),
        ("Timestamp", 1e300, None),
        ("Timestamp", "9" * 19, None),
        ("Timestamp", [1], None),
        ("AssociatedData", {"a": {"b": 1}}, {"a": {"b": 1}}),
        ("AssociatedData", '{"a": 1}', {"a": 1}),
        ("AssociatedData", "", {}),
        ("AssociatedData", "{broken", {}),
        ("AssociatedData", None, {}),
        ("AssociatedData", [], {}),
    ],
)
def test_odd_values_of_a_channel(field: str, sent: object, read: object) -> None:
    assert _channel(**{field: sent}).model_dump()[field] == read


@pytest.mark.parametrize(
    ("field", "sent", "read"),
    [
        ("OutboundScenario", "true", True),
        ("OutboundScenario", "FALSE", False),
        ("OutboundScenario", 1, True),
        ("OutboundScenario", "0", False),
        ("OutboundScenario", "perhaps", None),
        ("OutboundScenario", {}, None),
        ("Heartbeat", "1609234224008", 1609234224008),
        ("Reserved", "1609234224008", 1609234224008),
        ("SignedSkillGroupIdList", ["a", "b"], ["a", "b"]),
        ("SignedSkillGroupIdList", '["a", 5, null, ["x"]]', ["a", "5"]),
        ("SignedSkillGroupIdList", "a@ccc", ["a@ccc"]),
        ("SignedSkillGroupIdList", "[broken", ["[broken"]),
        ("SignedSkillGroupIdList", "[" * 70 + "]" * 70, ["[" * 70 + "]" * 70]),
        ("SignedSkillGroupIdList", "", []),
        ("SignedSkillGroupIdList", None, []),
        ("SignedSkillGroupIdList", {"SignedSkillGroupId": ["a", 5]}, ["a", "5"]),
        ("SignedSkillGroupIdList", {"a": 1, "b": 2}, []),
        ("SignedSkillGroupIdList", {}, []),
    ],
)
def test_odd_values_of_a_user(field: str, sent: object, read: object) -> None:
    assert _user(**{field: sent}).model_dump()[field] == read


@pytest.mark.parametrize(
    ("sent", "count"),
    [
        ([{}, {}], 2),
        ({}, 1),
        ('[{"Index": 1}]', 1),
        ('{"Index": 1}', 1),
        ([{}, None, 5, "x", []], 1),
        ([], 0),
        (None, 0),
        ("", 0),
        (7, 0),
    ],
)
def test_channel_contexts_are_a_list_whatever_they_were(sent: object, count: int) -> None:
    call = _parse(_body(Data={"CallContext": {"ChannelContexts": sent}})).data.call_context
    assert call is not None
    assert len(call.channel_contexts) == count


@pytest.mark.parametrize("data", [None, "", [], 5, "no object", '{"CallContext": null}', {"CallContext": "x"}])
def test_data_that_makes_no_sense_is_empty(data: object) -> None:
    answer = _parse(_body(Data=data))
    assert answer.data.call_context is None
    assert answer.data.user_context is None
    assert answer.contexts() == {"CallContext": None, "UserContext": None}


@pytest.mark.parametrize(("sent", "read"), [("404", 404), (404, 404), ("", None), ("many", None), ([], None)])
def test_the_status_inside_the_answer(sent: object, read: int | None) -> None:
    assert _parse(_body(HttpStatusCode=sent)).http_status_code == read


@pytest.mark.parametrize(("sent", "read"), [(["a", 1], ["a", "1"]), ('["a"]', ["a"]), ("a", ["a"]), (None, [])])
def test_params_are_a_list_of_strings(sent: object, read: list[str]) -> None:
    assert _parse(_body(Params=sent)).params == read


def test_unknown_fields_are_kept_at_every_level() -> None:
    body = _body(New={"a": [1]}, code="x", Data={"CallContext": {"Newer": 5}, "Newest": None})
    answer = _parse(body)
    assert answer.code == "OK"
    assert answer.model_dump()["New"] == {"a": [1]}
    assert answer.contexts() == {
        "CallContext": {"CallType": None, "InstanceId": None, "JobId": None, "ChannelContexts": [], "Newer": 5},
        "UserContext": None,
    }
    assert answer.data.model_extra == {"Newest": None}


def test_what_json_does_not_know_is_not_kept() -> None:
    body = b'{"Code": "OK", "A": NaN, "B": "\\ud83d x", "C": "\\ud83d\\ude00", "Message": "\\udc00"}'
    answer = _parse(body)
    assert answer.model_extra == {"A": None, "B": "? x", "C": "\U0001f600"}
    assert answer.message == "?"
    json.loads(answer.model_dump_json())


def test_a_byte_order_mark_and_white_space_are_no_matter() -> None:
    assert _parse(b"\xef\xbb\xbf" + _body()).code == "OK"
    assert _parse(b"\r\n " + _body()).code == "OK"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"<html>502 Bad Gateway</html>",
        b"[]",
        b"5",
        b'"OK"',
        b"null",
        b"{}",
        b'{"Code": null}',
        b'{"Code": ""}',
        b'{"Code": " "}',
        b'{"Code": {}}',
        b'{"Code": ["OK"]}',
        b'{"Code": "OK"',
        b'{"Code": "OK"}{"Code": "OK"}',
        b'{"Code": "OK", "Message": "\xff"}',
        b'{"Code": "OK", "A": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"Code": "OK", "A": ' + b"[" * 70 + b"]" * 70 + b"}",
        b'{"Code": "OK", "A": ' + b"9" * 5000 + b"}",
        b'{"Code": "OK", "A": "' + b"x" * MAX_BODY_BYTES + b'"}',
        b"\x1f\x8b\x08\x00",
    ],
    ids=range(21),
)
def test_anything_without_a_code_is_no_answer(body: bytes) -> None:
    with pytest.raises(Unanswered, match="HTTP 200, text/plain") as caught:
        parse_answer(200, "text/plain; charset=gbk", body)
    assert caught.value.http_status == 200
    assert caught.value.written
    assert caught.value.__context__ is None


def test_many_brackets_are_no_depth() -> None:
    assert _parse(_body(A=[[]] * 500)).code == "OK"
    assert _parse(_body(A="[" * 500)).code == "OK"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
KNOWN = [field.alias for model in (CallContext, ChannelContext, UserContext) for field in model.model_fields.values()]
ODD = st.dictionaries(st.sampled_from([name for name in KNOWN if name]) | st.text(max_size=5), JSON, max_size=8)


@given(ODD, ODD, ODD, ODD)
def test_no_oddity_turns_ok_into_an_error(
    top: dict[str, Any], call: dict[str, Any], channel: dict[str, Any], user: dict[str, Any]
) -> None:
    call = {**call, "ChannelContexts": [channel]}
    fields = {**top, "Code": "OK", "Data": {"CallContext": call, "UserContext": user}}
    answer = _parse(json.dumps(fields).encode())
    raise_for(answer)
    json.dumps(answer.contexts(), allow_nan=False).encode()
    assert json.loads(answer.model_dump_json())["Code"] == "OK"


@given(st.integers(100, 599), st.none() | st.text(), st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_comes_is_an_answer_or_a_typed_error(status: int, content_type: str | None, body: bytes) -> None:
    try:
        raise_for(parse_answer(status, content_type, body))
    except ApiError as error:
        assert error.__context__ is None  # noqa: PT017  (either outcome will do)


def test_no_repr_shows_what_an_answer_holds() -> None:
    answer = _parse(json.dumps(EXAMPLE).encode())
    shown = f"{answer!r} {answer} {answer.data!r} {answer.data.call_context!r} {answer.data.user_context}"
    assert not any(character.isdigit() for character in shown)
