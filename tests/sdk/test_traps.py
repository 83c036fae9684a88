"""The traps of the vendor's SDKs that docs/simulator.md lists.

If one of these tests fails with a new release, an SDK has changed, and so must the page.
"""

import logging
from dataclasses import replace
from typing import Any

import pytest
from alibabacloud_tea_openapi.exceptions import ThrottlingException
from aliyunsdkccc.request.v20200701.SendDtmfSignalingRequest import SendDtmfSignalingRequest
from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException
from darabonba.exceptions import UnretryableException
from darabonba.policy.retry import RetryCondition, RetryOptions
from darabonba.runtime import ExtendsParameters

from tests.sdk.vendor import (
    CALL,
    CURRENT_V1,
    CURRENT_V3,
    OLD,
    Access,
    Current,
    Old,
    SeenError,
    Vendor,
    close_sessions,
)
from worker.simulator.control import SimulatorControl
from worker.simulator.server import running

LOST_ANSWER = {"drop": {"when": "after", "how": "close"}}
PHONE = "13188888888"
each_current = pytest.mark.parametrize("sdk", [CURRENT_V3, CURRENT_V1], ids=["v3", "v1"])


def play(simulator: SimulatorControl, **rule: Any) -> None:
    simulator.set_scene({"rules": [rule]})


def test_an_error_under_http_200_raises_nothing(simulator: SimulatorControl, access: Access, vendor: Vendor) -> None:
    play(simulator, error={"code": "NotExists.ChannelId", "status": 200})
    assert vendor.press(access)["Code"] == "NotExists.ChannelId"
    assert simulator.heard() == []


@each_current
@pytest.mark.parametrize("shape", ["one-channel-object", "specification"])
def test_one_channel_as_an_object_loses_the_body(
    simulator: SimulatorControl, access: Access, sdk: Current, shape: str
) -> None:
    play(simulator, shapes=[shape])
    answer = sdk.ask(access)
    assert (answer.status_code, answer.body) == (200, None)
    assert len(simulator.heard()) == 1
    assert OLD.press(access)["Code"] == "OK"


@each_current
def test_a_retry_presses_the_key_twice(simulator: SimulatorControl, access: Access, sdk: Current) -> None:
    play(simulator, **LOST_ANSWER, match={"times": 1})
    retry = RetryOptions(retry_condition=[RetryCondition(max_attempts=3, exception=["RetryError"])])
    assert replace(sdk, config={"retry_options": retry}).press(access)["Code"] == "OK"
    first, second = simulator.heard()
    assert first["nonce"] != second["nonce"]


@pytest.mark.parametrize(
    ("sdk", "nonce"),
    [
        (CURRENT_V3, {"headers": {"x-acs-signature-nonce": "once"}}),
        (CURRENT_V1, {"queries": {"SignatureNonce": "once"}}),
    ],
    ids=["v3", "v1"],
)
def test_under_a_nonce_of_the_callers_it_does_not(
    simulator: SimulatorControl, access: Access, sdk: Current, nonce: dict[str, Any]
) -> None:
    play(simulator, **LOST_ANSWER, match={"times": 1})
    mine = replace(sdk, runtime={"extends_parameters": ExtendsParameters(**nonce)})
    with pytest.raises(UnretryableException):
        mine.press(access)
    with pytest.raises(SeenError, match="SignatureNonceUsed"):
        mine.press(access)
    assert len(simulator.heard()) == 1


@each_current
def test_other_ways_to_ask_for_a_retry_are_ignored(simulator: SimulatorControl, access: Access, sdk: Current) -> None:
    play(simulator, **LOST_ANSWER)
    retry = RetryOptions(retry_condition=[RetryCondition(max_attempts=3, exception=["RetryError"])])
    with pytest.raises(UnretryableException):
        replace(sdk, runtime={"autoretry": True, "max_attempts": 3, "retry_options": retry}).ask(access)
    assert len(simulator.heard()) == 1


def test_the_old_one_does_not_retry_this_api(simulator: SimulatorControl, access: Access) -> None:
    play(simulator, **LOST_ANSWER)
    with pytest.raises(ClientException, match=r"SDK\.HttpError"):
        replace(OLD, options={"auto_retry": True, "max_retry_time": 3}).ask(access)
    assert len(simulator.heard()) == 1


def test_the_old_one_speaks_http_unless_told_otherwise() -> None:
    assert SendDtmfSignalingRequest().get_protocol_type() == "http"


def test_the_old_one_takes_most_strings_for_http(simulator: SimulatorControl, access: Access) -> None:
    request = OLD.request(access)
    request.set_protocol_type("HTTPS".lower())
    with OLD.client(access) as client:
        client.do_action_with_exception(request)
    assert len(simulator.heard()) == 1  # by HTTP


def test_the_old_one_asks_for_json_whatever_it_was_told(access: Access) -> None:
    request = OLD.request(access)
    request.set_accept_format("XML")
    with OLD.client(access) as client:
        assert client.do_action_with_exception(request).startswith(b"{")
        request.set_accept_format("XML")
        with pytest.deprecated_call():
            assert client.do_action(request).startswith(b"<?xml")


def test_the_current_one_reads_errors_in_xml(simulator: SimulatorControl, access: Access) -> None:
    """It does not ask for XML by itself; its reader finds what it looks for in the simulator's."""
    play(simulator, error={"code": "InternalError"})
    extra = ExtendsParameters(queries={"Format": "XML"})
    with pytest.raises(SeenError) as seen:
        replace(CURRENT_V3, runtime={"extends_parameters": extra}).press(access)
    assert (seen.value.code, seen.value.request_id) == ("InternalError", simulator.requests()[0]["request_id"])


def test_the_old_one_trips_over_a_message_without_colon(simulator: SimulatorControl, access: Access) -> None:
    play(simulator, error={"code": "SignatureDoesNotMatch", "message": "Specified signature is not matched."})
    with pytest.raises(IndexError):
        OLD.ask(access)


@each_current
def test_throttling_has_a_class_of_its_own_only_with_a_time_to_wait(
    simulator: SimulatorControl, access: Access, sdk: Current
) -> None:
    play(simulator, error={"code": "Throttling.User", "retry_after_ms": 700})
    with pytest.raises(ThrottlingException) as seen:
        sdk.ask(access)
    assert seen.value.retry_after == 700
    play(simulator, error={"code": "Throttling.User"})
    with pytest.raises(Exception, match="flow control") as other:
        sdk.ask(access)
    assert not isinstance(other.value, ThrottlingException)


def test_a_page_of_a_proxy(simulator: SimulatorControl, access: Access) -> None:
    """No code, and the key may have been pressed."""
    play(simulator, page={"status": 502, "executed": True})
    with pytest.raises(UnretryableException, match="502 Bad Gateway") as current:
        CURRENT_V3.ask(access)
    assert current.value.code is None
    with pytest.raises(ServerException) as old:
        OLD.ask(access)
    assert (old.value.get_error_code(), old.value.get_http_status()) == ("SDK.UnknownServerError", 502)
    assert len(simulator.heard()) == 2


def test_the_current_one_follows_redirects(simulator: SimulatorControl, access: Access) -> None:
    """To wherever they point, and takes what it finds there for the answer."""
    play(simulator, redirect={"location": f"{simulator.url}/_sim/health"})
    answer = CURRENT_V3.ask(access)
    assert (answer.status_code, answer.body.code) == (200, None)
    with pytest.raises(ServerException) as seen:
        OLD.ask(access)
    assert (seen.value.get_error_code(), seen.value.get_http_status()) == ("SDK.UnknownServerError", 302)
    assert simulator.heard() == []


def test_a_proxy_is_used_whatever_no_proxy_says(
    simulator: SimulatorControl, access: Access, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", simulator.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "*,127.0.0.1,localhost,elsewhere.example")
    vendor.press(replace(access, url="http://elsewhere.example:80"))
    assert len(simulator.heard()) == 1
    monkeypatch.setenv("HTTPS_PROXY", simulator.url)
    with pytest.raises(Exception, match="Tunnel connection failed"):
        vendor.press(replace(access, url="https://elsewhere.example:443"))


def test_the_text_of_a_connection_error_holds_number_and_key(vendor: Vendor, caplog: pytest.LogCaptureFixture) -> None:
    with running() as ended:
        access = Access(ended.url)
    with pytest.raises(Exception, match=PHONE) as seen:
        vendor.press(access)
    assert f"Dtmf={CALL['Dtmf']}" in str(seen.value)
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert any(PHONE in text for text in logged) is isinstance(vendor, Old)


def test_the_old_one_logs_every_key(access: Access, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "aliyunsdkcore"):
        OLD.ask(access)
    assert "'Dtmf': '5'" in caplog.text


def test_clients_of_the_current_one_share_connections_and_trust(secure: tuple[SimulatorControl, str]) -> None:
    simulator, bundle = secure
    simulator.reset()
    close_sessions()
    with pytest.raises(UnretryableException, match="CERTIFICATE_VERIFY_FAILED"):
        CURRENT_V3.ask(Access(simulator.url))
    CURRENT_V3.ask(Access(simulator.url, bundle))
    CURRENT_V3.ask(Access(simulator.url))
    assert len(simulator.heard()) == 2
