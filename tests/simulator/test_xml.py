"""Format=XML: the same answers as JSON, as elements."""

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator.sender import CHANNEL, PARAMETERS, Sender, v1, v3
from worker.simulator.control import SimulatorControl
from worker.simulator.markup import write
from worker.simulator.shapes import NO_ROOT, ODD

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'


def parse(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - the simulator's own


def in_xml(element: ET.Element, path: str = "") -> list[tuple[str, str]]:
    """Every value of an answer and where it stands; the root's name does not count."""
    if not len(element):
        return [(path, element.text or "")]
    return [leaf for child in element for leaf in in_xml(child, f"{path}/{child.tag}")]


def in_json(value: Any, path: str = "") -> list[tuple[str, str]]:
    """The same of a JSON answer, in which a list stands for its items."""
    if value is None:
        return []
    if isinstance(value, list):
        return [leaf for item in value for leaf in in_json(item, path)]
    if isinstance(value, dict) and value:
        return [leaf for name, item in value.items() for leaf in in_json(item, f"{path}/{name}")]
    return [(path, "" if value == {} else value if isinstance(value, str) else json.dumps(value))]


def press(sender: Sender, form: str, **parameters: str) -> requests.Response:
    return sender.press(**{"Format": form} | parameters)


def stable(leaves: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without what differs each time."""
    unstable = ("RequestId", "Timestamp", "Heartbeat", "Recommend")
    return [(path, text) for path, text in leaves if path.rpartition("/")[2] not in unstable]


def signed_by_v3(url: str) -> requests.PreparedRequest:
    return v3(url, PARAMETERS | {"Format": "XML"})


def signed_by_v1(url: str) -> requests.PreparedRequest:
    return v1(url, PARAMETERS, {"Format": "XML"})


@pytest.mark.parametrize("sign", [signed_by_v3, signed_by_v1])
def test_xml_where_it_is_asked_for(
    simulator: SimulatorControl, sender: Sender, sign: Callable[[str], requests.PreparedRequest]
) -> None:
    answer = sender.send(sign(simulator.url))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/xml;charset=utf-8")
    assert answer.text.startswith(f"{DECLARATION}<SendDtmfSignalingResponse>")
    assert parse(answer.text).findtext("Code") == "OK"
    assert [heard["key"] for heard in simulator.heard()] == [PARAMETERS["Dtmf"]]


@pytest.mark.parametrize("form", ["xml", "Xml"])
def test_in_any_case(sender: Sender, form: str) -> None:
    assert press(sender, form).headers["Content-Type"] == "text/xml;charset=utf-8"


@pytest.mark.parametrize("form", ["JSON", "json", "", "YAML"])
def test_json_in_all_other_cases(sender: Sender, form: str) -> None:
    answer = press(sender, form)
    assert (answer.headers["Content-Type"], answer.json()["Code"]) == ("application/json;charset=utf-8", "OK")


@pytest.mark.parametrize("shape", [None, *ODD])
def test_xml_says_what_json_says(simulator: SimulatorControl, sender: Sender, shape: str | None) -> None:
    said = {}
    for form in ("JSON", "XML"):
        simulator.set_scene({"rules": [] if shape in {None, NO_ROOT} else [{"shapes": [shape]}]})
        said[form] = press(sender, form)
    assert stable(in_xml(parse(said["XML"].text))) == stable(in_json(said["JSON"].json()))


def test_every_channel_has_an_element() -> None:
    written = write({"ChannelContexts": [{"Index": 0}, {"Index": 1}], "Params": []}, "R").decode()
    assert written == (
        f"{DECLARATION}<R><ChannelContexts><Index>0</Index></ChannelContexts>"
        "<ChannelContexts><Index>1</Index></ChannelContexts></R>"
    )


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [({}, 400, "Throttling.User"), ({"InstanceId": "other"}, 404, "NotExists.InstanceId")],
)
def test_errors(
    simulator: SimulatorControl, sender: Sender, parameters: dict[str, str], status: int, code: str
) -> None:
    throttled = {"match": {"instance": "ccc-test"}, "error": {"code": "Throttling.User", "retry_after_ms": 700}}
    simulator.set_scene({"rules": [throttled]})
    answer = press(sender, "XML", **parameters)
    root = parse(answer.text)
    assert (answer.status_code, root.tag, root.findtext("Code")) == (status, "Error", code)
    assert root.findtext("RequestId") == answer.headers["x-acs-request-id"]
    assert answer.headers.get("x-acs-retry-after") == (None if parameters else "700")
    assert stable(in_xml(root)) == stable(in_json(press(sender, "JSON", **parameters).json()))


def test_an_error_of_the_gateway_has_its_elements_in_order(sender: Sender) -> None:
    root = parse(sender.send(v3(sender.url, PARAMETERS | {"Format": "XML"}, secret="wrong")).text)
    assert [child.tag for child in root] == ["RequestId", "HostId", "Code", "Message", "Recommend"]
    assert root.findtext("Code") == "SignatureDoesNotMatch"


def test_a_code_other_than_ok_under_http_200(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"error": {"code": "NotExists.JobId", "status": 200}}]})
    answer = press(sender, "XML")
    root = parse(answer.text)
    assert (answer.status_code, root.tag) == (200, "SendDtmfSignalingResponse")
    assert root.findtext("Code") == "NotExists.JobId"


@pytest.mark.parametrize("error", [None, {"error": {"code": "InternalError"}}])
def test_the_root_may_be_missing(simulator: SimulatorControl, sender: Sender, error: dict[str, Any] | None) -> None:
    simulator.set_scene({"rules": [{"shapes": [NO_ROOT]} | (error or {})]})
    text = press(sender, "XML").text
    assert text.startswith("<RequestId>")
    with pytest.raises(ET.ParseError):
        parse(text)
    assert parse(f"<all>{text}</all>").findtext("Code") == ("OK" if error is None else "InternalError")
    assert "Code" in press(sender, "JSON").json()


@pytest.mark.parametrize("text", ["a&b<c>\"d'", "]]>", "<!--", "&amp;gt;", "&#49;", "a\r\nb\tc", "设备 \U0001f4de"])
def test_text_comes_back_as_it_was(sender: Sender, text: str) -> None:
    root = parse(press(sender, "XML", ChannelId=text).text)
    assert root.findtext("Data/CallContext/ChannelContexts/ChannelId") == text


def test_what_xml_cannot_hold_is_replaced(sender: Sender) -> None:
    root = parse(press(sender, "XML", ChannelId="a\x00\x0b\ufffeb").text)
    assert root.findtext("Data/CallContext/ChannelContexts/ChannelId") == "a\ufffd\ufffd\ufffdb"


@given(st.text())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_text_makes_a_document(text: str) -> None:
    read = parse(write({"Message": text}, "Error").decode()).findtext("Message") or ""
    assert len(read) == len(text)
    assert all(now in (was, "\ufffd") for was, now in zip(text, read, strict=True))


def test_the_channel_of_the_usual_answer(sender: Sender) -> None:
    root = parse(press(sender, "XML").text)
    assert root.findtext("Data/CallContext/ChannelContexts/ChannelId") == CHANNEL
    assert root.findtext("Data/UserContext/OutboundScenario") == "true"
