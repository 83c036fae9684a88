"""Answers in XML: what JSON would have given, nothing expanded, and a typed error for everything else."""

import json
from typing import Any
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ccc.test_answer import EXAMPLE, KNOWN
from worker.ccc.answer import MAX_BODY_BYTES, Answer, parse_answer
from worker.ccc.classify import raise_for
from worker.ccc.errors import ApiError, Gone, NotExecuted, Unanswered

DECLARATION = "<?xml version='1.0' encoding='UTF-8'?>\n"
CALL, USER = EXAMPLE["Data"]["CallContext"], EXAMPLE["Data"]["UserContext"]
CHANNEL = CALL["ChannelContexts"]
SECOND = {**CHANNEL, "ChannelId": "ch:user:a->b:1:job-1", "Index": 1, "AssociatedData": {"k": {"x": "1"}, "l": "2"}}
TWO_CHANNELS = {
    **EXAMPLE,
    "Params": ["a", "<b>"],
    "Data": {"CallContext": {**CALL, "ChannelContexts": [CHANNEL, SECOND]}, "UserContext": USER},
}


def xml(name: str, value: object) -> str:
    """An element of this name, or for a list one for each of its values."""
    if isinstance(value, list):
        return "".join(xml(name, one) for one in value)
    return f"<{name}>{content(value)}</{name}>"


def content(value: object) -> str:
    if isinstance(value, dict):
        return "".join(xml(name, inner) for name, inner in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else escape(str(value))


def rooted(fields: dict[str, Any]) -> str:
    return xml("SendDtmfSignalingResponse", fields)


def parse(text: str | bytes, http_status: int = 200) -> Answer:
    body = text if isinstance(text, bytes) else text.encode()
    return parse_answer(http_status, "application/xml", body)


@pytest.mark.parametrize("fields", [EXAMPLE, TWO_CHANNELS], ids=["one channel", "two channels"])
@pytest.mark.parametrize(
    "text",
    [
        rooted,
        lambda fields: DECLARATION + rooted(fields),
        lambda fields: DECLARATION + content(fields),
        content,
        lambda fields: "\ufeff" + DECLARATION + rooted(fields),
        lambda fields: "\r\n " + rooted(fields).replace("><", ">\n  <") + "\n",
        lambda fields: f'<!-- a comment --><X xmlns="urn:x" a="b">{content(fields)}</X>',
    ],
    ids=["root", "declaration and root", "declaration alone", "bare", "byte order mark", "white space", "attributes"],
)
def test_xml_says_what_json_says(text: Any, fields: dict[str, Any]) -> None:
    expected = parse_answer(200, "application/json", json.dumps(fields).encode())
    answer = parse(text(fields))
    assert answer.model_dump() == expected.model_dump()
    assert answer.contexts() == expected.contexts()
    raise_for(answer)


def test_there_is_one_channel_context_for_each_element() -> None:
    call = parse(rooted(TWO_CHANNELS)).data.call_context
    assert call is not None
    assert [channel.index for channel in call.channel_contexts] == [0, 1]
    assert call.channel_contexts[1].associated_data == {"k": {"x": "1"}, "l": "2"}


@pytest.mark.parametrize(
    ("inside", "read"),
    [
        ("<{many}>a</{many}><{many}>b</{many}>", ["a", "b"]),
        ("<{many}>a</{many}>", ["a"]),
        ("<{many}><{one}>a</{one}><{one}>b</{one}></{many}>", ["a", "b"]),
        ("<{many}><{one}>a</{one}></{many}>", ["a"]),
        ('<{many}>["a", "b"]</{many}>', ["a", "b"]),
        ("<{many}/>", []),
        ("<{many}>\n</{many}>", []),
        ("", []),
    ],
)
def test_lists_are_repeated_or_wrapped(inside: str, read: list[str]) -> None:
    params = inside.format(many="Params", one="Param")
    groups = inside.format(many="SignedSkillGroupIdList", one="SignedSkillGroupId")
    answer = parse(f"<R><Code>OK</Code>{params}<Data><UserContext>{groups}<Mobile/></UserContext></Data></R>")
    assert answer.params == read
    assert answer.data.user_context is not None
    assert answer.data.user_context.signed_skill_group_id_list == read


def test_errors_of_the_gateway_are_classified_as_in_json() -> None:
    text = "<Error><RequestId>AB-1</RequestId><HostId>ccc.example</HostId><Code>{}</Code><Message>m</Message></Error>"
    with pytest.raises(NotExecuted) as throttled:
        raise_for(parse(DECLARATION + text.format("Throttling.User"), 400))
    assert throttled.value.request_id == "AB-1"
    with pytest.raises(Gone):
        raise_for(parse(text.format("NotExists.JobId"), 404))
    assert parse("<Code>OK</Code>").code == "OK"


def test_unknown_elements_are_kept() -> None:
    answer = parse("<R><Code>OK</Code><New a='1'>x<Inner>1</Inner></New><HttpStatusCode> 200 </HttpStatusCode></R>")
    assert answer.model_dump()["New"] == {"Inner": "1"}
    assert answer.http_status_code == 200


def test_what_xml_escapes_is_read_and_nothing_else_is_expanded() -> None:
    answer = parse("<R><Code>OK</Code><Message>&lt;a&gt; &amp;amp; &#65;<![CDATA[<b>&x;]]></Message></R>")
    assert answer.message == "<a> &amp; A<b>&x;"


LAUGHS = "<!DOCTYPE R [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {new} '{f'&{old};' * 10}'>" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
REFUSED = {
    "many laughs": LAUGHS + "]><R><Code>OK</Code><Message>&i;</Message></R>",
    "one entity": "<!DOCTYPE R [<!ENTITY ok 'OK'>]><R><Code>&ok;</Code></R>",
    "a file": "<!DOCTYPE R [<!ENTITY f SYSTEM 'file:///etc/hostname'>]><R><Code>OK</Code><Message>&f;</Message></R>",
    "parameter entity": "<!DOCTYPE R [<!ENTITY % p SYSTEM 'http://127.0.0.1:1/'> %p;]><R><Code>OK</Code></R>",
    "a DTD elsewhere": "<!DOCTYPE R SYSTEM 'http://127.0.0.1:1/x.dtd'><R><Code>OK</Code></R>",
    "a DTD without anything": DECLARATION + "<!DOCTYPE R><R><Code>OK</Code></R>",
    "an entity from nowhere": "<R><Code>OK</Code><Message>&nbsp;</Message></R>",
    "an entity in an attribute": "<R a='&nbsp;'><Code>OK</Code></R>",
    "page": "<!DOCTYPE html><html><body><Code>OK</Code></body></html>",
    "strict page": "<html><head><title>502</title></head><body><code>OK</code></body></html>",
    "page of a proxy": "<html>\r\n<head><title>502 Bad Gateway</title></head><body>\r\n<hr>nginx</body></html>",
    "text": "<502 Bad Gateway>",
    "no Code": "<R><Data><Code>OK</Code></Data></R>",
    "Data alone": "<Data><Code>OK</Code></Data>",
    "empty Code": "<R><Code> </Code></R>",
    "two Codes": "<R><Code>OK</Code><Code>OK</Code></R>",
    "Code with elements": "<R><Code><A>OK</A></Code></R>",
    "two roots": "<R><Code>OK</Code></R><R><Code>OK</Code></R>",
    "text after it": "<R><Code>OK</Code></R> and more",
    "text between": "<Code>OK</Code>, <Message/>",
    "our own element closed": "<Code>OK</Code></_><_>",
    "our own element closed for good": "<Code>OK</Code></_><!-- ",
    "cut": "<R><Code>OK</Code><Message>x</R>",
    "a comment that is not closed": "<Code>OK</Code><!-- ",
    "declared twice": DECLARATION + DECLARATION + "<Code>OK</Code>",
    "declared inside": "<R>" + DECLARATION + "<Code>OK</Code></R>",
    "half a surrogate pair": "<R><Code>OK</Code><Message>&#xD83D;</Message></R>",
    "a NUL": "<R><Code>OK</Code><Message>\0</Message></R>",
    "too deep": "<R><Code>OK</Code>" + "<a>" * 70 + "</a>" * 70 + "</R>",
    "far too deep": "<a>" * 100_000,
    "too long": "<R><Code>OK</Code><Message>" + "x" * MAX_BODY_BYTES + "</Message></R>",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_no_answer_and_is_not_quoted(text: str) -> None:
    with pytest.raises(Unanswered, match="HTTP 502, text/html") as caught:
        parse_answer(502, "text/html; charset=gbk", text.encode())
    assert caught.value.http_status == 502
    assert caught.value.written
    assert caught.value.__context__ is None
    assert "nginx" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "gbk", "latin-1"])
def test_only_utf_8_is_read_whatever_is_declared(encoding: str) -> None:
    text = f"<?xml version='1.0' encoding='{encoding}'?><R><Code>OK</Code><Message>\u00e9</Message></R>"
    assert parse(text.encode()).message == "\u00e9"
    with pytest.raises(Unanswered):
        parse(text.encode(encoding))


def test_many_elements_are_no_depth() -> None:
    answer = parse("<R><Code>OK</Code>" + "<A><B/></A>" * 5000 + "</R>")
    assert len(answer.model_dump()["A"]) == 5000


NAMES = st.sampled_from([name for name in KNOWN if name] + ["Code", "Data", "ChannelContexts", "X", "_"])
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))
VALUES = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
ODD = st.dictionaries(NAMES.filter(lambda name: name != "Code"), VALUES, max_size=8)


@given(ODD, ODD, ODD, ODD, st.booleans())
def test_no_oddity_turns_ok_into_an_error(
    top: dict[str, Any], call: dict[str, Any], channel: dict[str, Any], user: dict[str, Any], with_root: bool
) -> None:
    call = {**call, "ChannelContexts": [channel, channel]}
    fields = {**top, "Code": "OK", "Data": {"CallContext": call, "UserContext": user}}
    answer = parse(rooted(fields) if with_root else content(fields))
    raise_for(answer)
    json.dumps(answer.contexts(), allow_nan=False).encode()
    assert json.loads(answer.model_dump_json())["Code"] == "OK"


PIECES = [
    "<Code>OK</Code>",
    "<Data>",
    "</Data>",
    "<",
    ">",
    "</",
    "/>",
    "&",
    "&lt;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?xml",
    "?>",
    "<!DOCTYPE",
]
RUBBISH = st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join)


@given(st.integers(100, 599), st.binary() | RUBBISH.map(str.encode))
def test_whatever_begins_like_xml_is_an_answer_or_a_typed_error(status: int, body: bytes) -> None:
    _judge(status, b"<" + body)


WHOLE = (DECLARATION + rooted(TWO_CHANNELS)).encode()


@given(st.integers(0, len(WHOLE) - 1), st.sampled_from([WHOLE, json.dumps(TWO_CHANNELS).encode()]))
def test_an_answer_that_was_cut_off_is_none(end: int, body: bytes) -> None:
    with pytest.raises(Unanswered):
        parse_answer(200, None, body[: min(end, len(body) - 1)])


@given(st.data(), st.sampled_from([WHOLE, json.dumps(TWO_CHANNELS).encode()]))
def test_an_answer_with_bytes_changed_is_an_answer_or_a_typed_error(data: st.DataObject, body: bytes) -> None:
    changed = bytearray(body)
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        changed[place] = data.draw(st.integers(0, 255))
    _judge(200, bytes(changed))


@given(st.sampled_from(["utf-8", "utf-16", "utf-16-be", "utf-32", "gb18030", "utf-7"]), ODD, st.booleans())
def test_in_any_encoding_it_is_an_answer_or_a_typed_error(encoding: str, odd: dict[str, Any], as_json: bool) -> None:
    fields = {"Code": "OK", **odd}
    _judge(200, (json.dumps(fields, ensure_ascii=False) if as_json else rooted(fields)).encode(encoding))


@given(st.integers(1, 200), st.booleans())
def test_depth_is_an_answer_or_a_typed_error(depth: int, as_json: bool) -> None:
    nested: object = "x"
    for _ in range(depth):
        nested = {"A": nested}
    fields = {"Code": "OK", "Data": nested}
    _judge(200, (json.dumps(fields) if as_json else rooted(fields)).encode())


def _judge(status: int, body: bytes) -> None:
    try:
        answer = parse_answer(status, None, body)
        json.dumps(answer.model_dump(mode="json"), allow_nan=False).encode()
        answer.contexts()
        raise_for(answer)
    except ApiError as error:
        assert error.__context__ is None  # noqa: PT017  (either outcome will do)
