"""Each class of error of the API, as a caller of an SDK sees it. No SDK retries any of them by itself."""

from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import pytest

from tests.sdk.vendor import CALL, CHANNEL, Access, Current, Old, SeenError, Vendor
from worker.simulator.control import SimulatorControl

TOKEN = {"token": "CAIS+/made=up token"}


@dataclass(frozen=True)
class Case:
    """What is wrong, and what is seen of it.

    ``error`` is what the simulator is told to answer, ``settings``, ``account`` and ``ended`` are how it is
    changed; ``access`` and ``parameters`` are how the request is. ``old_code`` is the old SDK's own word.
    """

    code: str
    status: int
    error: dict[str, Any] | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=dict)
    ended: str | None = None
    access: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str | None] = field(default_factory=dict)
    heard: int = 0
    old_code: str | None = None


CASES = {
    "no such instance": Case("NotExists.InstanceId", 404, parameters={"InstanceId": "unknown"}),
    "call over": Case("NotExists.JobId", 404, ended="job"),
    "channel over": Case("NotExists.ChannelId", 404, ended="channel"),
    "wrong secret": Case("SignatureDoesNotMatch", 400, access={"secret": "wrong"}, old_code="InvalidAccessKeySecret"),
    "unknown key": Case("InvalidAccessKeyId.NotFound", 404, access={"key_id": "LTAIunknown"}),
    "no token": Case("InvalidSecurityToken.Malformed", 400, account=TOKEN),
    "wrong token": Case("InvalidSecurityToken.MismatchWithAccessKey", 400, account=TOKEN, access={"token": "wrong"}),
    "expired token": Case("InvalidSecurityToken.Expired", 400, account=TOKEN | {"expires_at": 1}, access=TOKEN),
    "slow clock": Case("InvalidTimeStamp.Expired", 400, settings={"clock_offset": 3600}),
    "fast clock": Case("InvalidTimeStamp.Expired", 400, settings={"clock_offset": -3600}),
    "no device": Case("MissingParameter", 400, parameters={"DeviceId": None}),
    "not a key": Case("InvalidParameter", 400, parameters={"Dtmf": "A"}),
    "forbidden": Case("Forbidden.RAM", 403, error={}),
    "internal error": Case("InternalError", 500, error={}),
    "internal error, yet pressed": Case("InternalError", 500, error={"executed": True}, heard=1),
    "unavailable": Case("ServiceUnavailable", 503, error={}),
}


@pytest.mark.parametrize("name", CASES)
def test_an_error(simulator: SimulatorControl, access: Access, vendor: Vendor, name: str) -> None:
    case = CASES[name]
    simulator.set_accounts({"id": access.key_id, "secret": access.secret} | case.account)
    simulator.set_settings(**case.settings)
    if case.error is not None:
        simulator.set_scene({"rules": [{"error": {"code": case.code} | case.error}]})
    if case.ended is not None:
        simulator.end_call(CHANNEL, str(CALL["JobId"]), gone=case.ended)
    with pytest.raises(SeenError) as seen:
        vendor.press(replace(access, **case.access), **case.parameters)
    code = (case.old_code if isinstance(vendor, Old) else None) or case.code
    (asked,) = simulator.requests()  # one: none was sent again
    assert asked["code"] == case.code
    assert (seen.value.code, seen.value.status) == (code, case.status)
    assert seen.value.request_id == asked["request_id"]
    assert len(simulator.heard()) == case.heard


def test_throttling(simulator: SimulatorControl, access: Access, vendor: Vendor) -> None:
    """The current SDK alone shows how long to wait, if the API says so."""
    simulator.set_scene({"rules": [{"throttle": {"rate": 0.001, "burst": 1, "retry_after_ms": 1500}}]})
    vendor.press(access)
    with pytest.raises(SeenError) as seen:
        vendor.press(access)
    assert (seen.value.code, seen.value.status) == ("Throttling.User", 400)
    assert seen.value.retry_after == (1500 if isinstance(vendor, Current) else None)
    assert len(simulator.heard()) == 1


def test_a_nonce_that_was_used(simulator: SimulatorControl, access: Access, vendor: Vendor) -> None:
    with (
        mock.patch("alibabacloud_tea_openapi.utils.Utils.get_nonce", return_value="once"),
        mock.patch("aliyunsdkcore.utils.parameter_helper.get_uuid", return_value="once"),
    ):
        vendor.press(access)
        with pytest.raises(SeenError) as seen:
            vendor.press(access)
    assert (seen.value.code, seen.value.status) == ("SignatureNonceUsed", 400)
    assert len(simulator.heard()) == 1
