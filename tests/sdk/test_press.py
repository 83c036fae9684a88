"""A key pressed through an SDK is heard once: each way to sign, with and without a token, over HTTP and HTTPS."""

from dataclasses import replace

import pytest

from tests.sdk.vendor import CALL, CHANNEL, CURRENT_V1, CURRENT_V3, OLD, Access, Vendor, close_sessions
from worker.simulator.config import DEMO_ACCOUNT
from worker.simulator.control import SimulatorControl

TOKEN = "CAIS+/made=up token"
PRESSERS = {
    "current-v3": CURRENT_V3,
    "current-v3-async": replace(CURRENT_V3, asynchronous=True),
    "current-v1": CURRENT_V1,
    "current-v1-async": replace(CURRENT_V1, asynchronous=True),
    "old-v1": OLD,
}


@pytest.fixture(params=["http", "https"])
def there(
    request: pytest.FixtureRequest, plain: SimulatorControl, secure: tuple[SimulatorControl, str]
) -> tuple[SimulatorControl, Access]:
    """A simulator as it is at the start, and the way to it."""
    control, bundle = (plain, None) if request.param == "http" else secure
    control.reset()
    return control, Access(control.url, bundle)


@pytest.mark.parametrize("token", [None, TOKEN], ids=["no-token", "token"])
@pytest.mark.parametrize("presser", PRESSERS.values(), ids=PRESSERS)
def test_a_key_is_heard_once(there: tuple[SimulatorControl, Access], presser: Vendor, token: str | None) -> None:
    simulator, access = there
    simulator.set_accounts({"id": access.key_id, "secret": access.secret, "token": token})
    answer = presser.press(replace(access, token=token))
    (heard,) = simulator.heard()
    assert (heard["key"], heard["channel_id"], heard["job_id"]) == (CALL["Dtmf"], CHANNEL, CALL["JobId"])
    (asked,) = simulator.requests()
    assert (asked["code"], asked["signature"], asked["answered"]) == ("OK", presser.signature, True)
    assert (answer["Code"], answer["HttpStatusCode"], answer["RequestId"]) == ("OK", 200, heard["request_id"])
    (channel,) = answer["Data"]["CallContext"]["ChannelContexts"]
    assert (channel["ChannelId"], channel["Originator"]) == (CHANNEL, "01089898989")
    assert answer["Data"]["UserContext"]["UserId"] == CALL["UserId"]


def test_every_key(simulator: SimulatorControl, access: Access, vendor: Vendor) -> None:
    for key in "0123456789*#":
        vendor.press(access, Dtmf=key)
    assert "".join(heard["key"] for heard in simulator.heard()) == "0123456789*#"


def test_ids_of_any_characters(simulator: SimulatorControl, access: Access, vendor: Vendor) -> None:
    odd = {"ChannelId": "ch:a b+c%20~*/?&=é设备\U0001f4de", "JobId": ":job-1", "DeviceId": "ACC 1/+", "UserId": "a+b@x"}
    answer = vendor.press(access, **odd)
    (heard,) = simulator.heard()
    assert (heard["channel_id"], heard["job_id"]) == (odd["ChannelId"], odd["JobId"])
    assert answer["Data"]["UserContext"]["DeviceId"] == odd["DeviceId"]


def test_each_press_has_a_nonce_of_its_own(simulator: SimulatorControl, access: Access, vendor: Vendor) -> None:
    for _ in range(3):
        vendor.press(access)
    assert len({heard["nonce"] for heard in simulator.heard()}) == 3


def test_a_certificate_that_nobody_vouches_for(secure: tuple[SimulatorControl, str], vendor: Vendor) -> None:
    control, _ = secure
    control.reset()
    close_sessions()
    with pytest.raises(Exception, match=r"certificate verify failed|CERTIFICATE_VERIFY_FAILED"):
        vendor.press(Access(control.url))
    assert control.requests() == []


def test_a_temporary_key_of_the_made_up_account(simulator: SimulatorControl, access: Access, vendor: Vendor) -> None:
    """One account may be let in with a token and another without."""
    simulator.set_accounts(
        {"id": DEMO_ACCOUNT.id, "secret": DEMO_ACCOUNT.secret}, {"id": "STS.x", "secret": "s", "token": TOKEN}
    )
    vendor.press(access, Dtmf="1")
    vendor.press(replace(access, key_id="STS.x", secret="s", token=TOKEN), Dtmf="2")
    assert [(heard["access_key_id"], heard["key"]) for heard in simulator.heard()] == [
        (DEMO_ACCOUNT.id, "1"),
        ("STS.x", "2"),
    ]
