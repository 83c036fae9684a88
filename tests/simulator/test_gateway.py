"""Each check of the gateway, over HTTP."""

import threading
from typing import Any
from uuid import uuid4

import pytest

from tests.simulator.sender import CHANNEL, JOB, PARAMETERS, Sender, code, now, v1, v3
from worker.simulator.config import DEMO_ACCOUNT
from worker.simulator.control import SimulatorControl
from worker.simulator.errors import Refusal
from worker.simulator.gateway import Gateway, Nonces
from worker.simulator.scene import Settings, Throttle

SIGNERS = [pytest.param(v3, id="v3"), pytest.param(v1, id="v1")]
TOKEN = "CAISxyz+/==~ *token"


@pytest.mark.parametrize("form", [False, True], ids=["query", "form"])
@pytest.mark.parametrize("sign", SIGNERS)
@pytest.mark.parametrize("key", list("0123456789*#"))
def test_every_key_is_heard(simulator: SimulatorControl, sender: Sender, sign: Any, key: str, form: bool) -> None:
    answer = sender.send(sign(sender.url, PARAMETERS | {"Dtmf": key}, form=form))
    assert (answer.status_code, code(answer)) == (200, "OK")
    assert [heard["key"] for heard in simulator.heard()] == [key]


def test_the_answer_follows_the_specification(sender: Sender) -> None:
    answer = sender.press()
    body = answer.json()
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert answer.headers["x-acs-request-id"] == body["RequestId"] == body["RequestId"].upper()
    assert set(body) == {"Code", "HttpStatusCode", "Message", "Params", "RequestId", "Data"}
    call, user = body["Data"]["CallContext"], body["Data"]["UserContext"]
    assert set(call) == {"CallType", "InstanceId", "JobId", "ChannelContexts"}
    (channel,) = call["ChannelContexts"]
    assert (channel["ChannelId"], channel["JobId"]) == (CHANNEL, JOB)
    assert (channel["Originator"], channel["Destination"]) == ("01089898989", "13188888888")
    assert user["UserId"] == PARAMETERS["UserId"]
    assert {type(channel[name]) for name in ("Index", "Timestamp")} == {int}
    assert isinstance(user["SignedSkillGroupIdList"], list)


@pytest.mark.parametrize("sign", SIGNERS)
def test_a_tampered_parameter_is_refused(simulator: SimulatorControl, sender: Sender, sign: Any) -> None:
    request = sign(sender.url, PARAMETERS)
    request.url = request.url.replace("Dtmf=5", "Dtmf=6")
    answer = sender.send(request)
    assert (answer.status_code, code(answer)) == (400, "SignatureDoesNotMatch")
    assert set(answer.json()) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert simulator.heard() == []


@pytest.mark.parametrize("sign", SIGNERS)
def test_a_wrong_secret_is_refused(sender: Sender, sign: Any) -> None:
    assert code(sender.send(sign(sender.url, PARAMETERS, secret="another"))) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("sign", SIGNERS)
def test_an_unknown_key_is_refused(sender: Sender, sign: Any) -> None:
    answer = sender.send(sign(sender.url, PARAMETERS, key_id="LTAInobody"))
    assert (answer.status_code, code(answer)) == (404, "InvalidAccessKeyId.NotFound")


def test_a_body_that_was_changed_on_the_way_is_refused(sender: Sender) -> None:
    request = v3(sender.url, PARAMETERS, form=True)
    request.prepare_body("Dtmf=6", None)
    assert code(sender.send(request)) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("left_out", ["host", "x-acs-date", "x-acs-signature-nonce", "x-extra"])
def test_v3_has_to_sign_its_public_headers(sender: Sender, left_out: str) -> None:
    request = v3(sender.url, PARAMETERS, {"x-acs-extra": "1"} if left_out == "x-extra" else {})
    name = "x-acs-extra" if left_out == "x-extra" else left_out
    authorization = str(request.headers["Authorization"])
    request.headers["Authorization"] = authorization.replace(f"{name};", "")
    assert code(sender.send(request)) == "IncompleteSignature"


@pytest.mark.parametrize(
    "authorization", ["", "Bearer x", "ACS3-RSA-SHA256 Credential={id},SignedHeaders=host,Signature=00"]
)
def test_an_authorization_that_is_none(sender: Sender, authorization: str) -> None:
    request = v3(sender.url, PARAMETERS)
    request.headers["Authorization"] = authorization.format(id=DEMO_ACCOUNT.id)
    assert code(sender.send(request)) in {"IncompleteSignature", "MissingParameter"}


def test_v1_without_a_signature(sender: Sender) -> None:
    request = v1(sender.url, PARAMETERS)
    request.url = "&".join(part for part in str(request.url).split("&") if not part.startswith("Signature="))
    assert code(sender.send(request)) == "IncompleteSignature"


def test_v1_by_another_method_of_signing(sender: Sender) -> None:
    assert code(sender.send(v1(sender.url, PARAMETERS, {"SignatureMethod": "HMAC-MD5"}))) == "IncompleteSignature"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [(TOKEN, "OK"), (None, "InvalidSecurityToken.Malformed"), ("other", "InvalidSecurityToken.MismatchWithAccessKey")],
)
@pytest.mark.parametrize("sign", SIGNERS)
def test_a_temporary_credential(
    simulator: SimulatorControl, sender: Sender, sign: Any, sent: str | None, expected: str
) -> None:
    simulator.set_accounts({"id": "STS.key", "secret": "s", "token": TOKEN})
    name = "x-acs-security-token" if sign is v3 else "SecurityToken"
    assert code(sender.send(sign(sender.url, PARAMETERS, {name: sent}, key_id="STS.key", secret="s"))) == expected


def test_a_temporary_credential_ends(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_accounts({"id": "STS.key", "secret": "s", "token": TOKEN, "expires_at": 1.0})
    request = v3(sender.url, PARAMETERS, {"x-acs-security-token": TOKEN}, key_id="STS.key", secret="s")
    assert code(sender.send(request)) == "InvalidSecurityToken.Expired"


def test_a_token_that_the_account_does_not_have(sender: Sender) -> None:
    request = v3(sender.url, PARAMETERS, {"x-acs-security-token": TOKEN})
    assert code(sender.send(request)) == "InvalidSecurityToken.MismatchWithAccessKey"


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (lambda: now(-600), "OK"),
        (lambda: now(600), "OK"),
        (lambda: now(-1000), "InvalidTimeStamp.Expired"),
        (lambda: now(1000), "InvalidTimeStamp.Expired"),
        (lambda: "2026-01-02 03:04:05", "InvalidTimeStamp.Format"),
        (lambda: "2026-13-02T03:04:05Z", "InvalidTimeStamp.Format"),
        (lambda: None, "MissingParameter"),
    ],
)
@pytest.mark.parametrize("sign", SIGNERS)
def test_the_time_of_signing(sender: Sender, sign: Any, timestamp: Any, expected: str) -> None:
    name = "x-acs-date" if sign is v3 else "Timestamp"
    assert code(sender.send(sign(sender.url, PARAMETERS, {name: timestamp()}))) == expected


def test_the_window_and_the_clock_are_settings(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_settings(timestamp_window=30)
    assert code(sender.send(v3(sender.url, PARAMETERS, {"x-acs-date": now(-600)}))) == "InvalidTimeStamp.Expired"
    simulator.set_settings(clock_offset=-600)
    assert code(sender.send(v3(sender.url, PARAMETERS, {"x-acs-date": now(-600)}))) == "OK"


@pytest.mark.parametrize(
    ("sign", "common", "expected", "status"),
    [
        (v3, {"x-acs-action": None}, "MissingParameter", 400),
        (v3, {"x-acs-version": None}, "MissingParameter", 400),
        (v3, {"x-acs-action": "SendDtmf"}, "InvalidAction.NotFound", 404),
        (v3, {"x-acs-version": "2019-01-01"}, "InvalidVersion", 400),
        (v1, {"Action": None}, "MissingParameter", 400),
        (v1, {"Version": None}, "MissingParameter", 400),
        (v1, {"Action": "SendDtmf"}, "InvalidAction.NotFound", 404),
        (v1, {"Version": "2019-01-01"}, "InvalidVersion", 400),
        (v1, {"AccessKeyId": None}, "MissingParameter", 400),
        (v1, {"SignatureNonce": None}, "MissingParameter", 400),
    ],
)
def test_action_version_key_and_nonce_must_be_there(
    sender: Sender, sign: Any, common: dict[str, str | None], expected: str, status: int
) -> None:
    answer = sender.send(sign(sender.url, PARAMETERS, common))
    assert (code(answer), answer.status_code) == (expected, status)


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_another_method(sender: Sender, method: str) -> None:
    assert code(sender.send(v3(sender.url, PARAMETERS, method=method))) == "UnsupportedHTTPMethod"


def test_head_has_no_body_and_spoils_no_connection(sender: Sender) -> None:
    assert sender.send(v3(sender.url, PARAMETERS, method="HEAD")).content == b""
    assert code(sender.press()) == "OK"


def test_another_path(sender: Sender) -> None:
    request = v3(sender.url, PARAMETERS)
    request.url = str(request.url).replace("/?", "/api?")
    assert code(sender.send(request)) == "InvalidAction.NotFound"


@pytest.mark.parametrize("sign", SIGNERS)
def test_a_nonce_is_good_for_one_request(simulator: SimulatorControl, sender: Sender, sign: Any) -> None:
    request = sign(sender.url, PARAMETERS)
    assert code(sender.send(request)) == "OK"
    again = sender.send(request)
    assert (again.status_code, code(again)) == (400, "SignatureNonceUsed")
    assert len(simulator.heard()) == 1


def test_a_nonce_counts_for_its_key_alone(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_accounts(*({"id": name, "secret": "s"} for name in ("one", "two")))
    for name in ("one", "two"):
        request = v3(sender.url, PARAMETERS, {"x-acs-signature-nonce": "same"}, key_id=name, secret="s")
        assert code(sender.send(request)) == "OK"


def test_a_nonce_is_remembered_after_its_timestamp_expired(simulator: SimulatorControl, sender: Sender) -> None:
    nonce = uuid4().hex
    assert code(sender.press(nonce=nonce)) == "OK"
    simulator.set_settings(clock_offset=1800, timestamp_window=10_000)
    assert code(sender.press(nonce=nonce)) == "SignatureNonceUsed"
    simulator.set_settings(clock_offset=1900)
    assert code(sender.press(nonce=nonce)) == "OK"


def test_of_two_copies_at_once_one_is_executed(simulator: SimulatorControl) -> None:
    simulator.set_scene({"rules": [{"latency": [0.0, 0.02]}]})
    codes: list[str] = []
    gate = threading.Barrier(8)
    copy = v3(simulator.url, PARAMETERS)

    def send() -> None:
        sender = Sender(simulator.url)
        gate.wait()
        codes.append(code(sender.send(copy)))
        sender.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == ["OK"] + ["SignatureNonceUsed"] * 7
    assert len(simulator.heard()) == 1


@pytest.mark.parametrize(("burn", "expected"), [(True, "SignatureNonceUsed"), (False, "OK")])
@pytest.mark.parametrize(
    "refusing",
    [
        {"error": {"code": "ServiceUnavailable"}},
        {"throttle": {"rate": 0.000_001, "burst": 1}},
    ],
    ids=["refused by the API", "throttled"],
)
def test_whether_a_refused_request_burns_its_nonce(
    simulator: SimulatorControl, sender: Sender, refusing: dict[str, Any], burn: bool, expected: str
) -> None:
    simulator.set_scene({"settings": {"burn": burn}, "rules": [refusing]})
    if "throttle" in refusing:
        assert code(sender.press(nonce="the one that passes")) == "OK"
    assert code(sender.press(nonce="n")) in {"ServiceUnavailable", "Throttling.User"}
    simulator.set_scene()
    assert code(sender.press(nonce="n")) == expected


@pytest.mark.parametrize("burn", [True, False])
def test_an_executed_request_always_burns_its_nonce(simulator: SimulatorControl, sender: Sender, burn: bool) -> None:
    simulator.set_scene({"settings": {"burn": burn}, "rules": [{"error": {"code": "InternalError", "executed": True}}]})
    assert code(sender.press(nonce="n")) == "InternalError"
    assert code(sender.press(nonce="n")) == "SignatureNonceUsed"
    assert len(simulator.heard()) == 1


def test_a_forged_request_burns_nothing(sender: Sender) -> None:
    forged = v3(sender.url, PARAMETERS, {"x-acs-signature-nonce": "n"}, secret="guessed")
    assert code(sender.send(forged)) == "SignatureDoesNotMatch"
    assert code(sender.press(nonce="n")) == "OK"


@pytest.mark.parametrize(("nonce_first", "expected"), [(False, "Throttling.User"), (True, "SignatureNonceUsed")])
def test_the_quota_comes_before_the_nonce_or_after(
    simulator: SimulatorControl, sender: Sender, nonce_first: bool, expected: str
) -> None:
    quota = {"rate": 0.000_001, "burst": 1, "retry_after_ms": 1500}
    simulator.set_settings(quota=quota, nonce_first=nonce_first)
    assert code(sender.press(nonce="n")) == "OK"
    again = sender.press(nonce="n")
    assert (again.status_code, code(again)) == (400, expected)
    if expected == "Throttling.User":
        assert again.headers["x-acs-retry-after"] == "1500"


def test_a_quota_refills() -> None:
    time = [0.0]
    gateway = Gateway(
        Settings(quota=Throttle(rate=10, burst=2)), [DEMO_ACCOUNT], clock=lambda: 0.0, monotonic=lambda: time[0]
    )
    passed = []
    for at in (0.0, 0.0, 0.0, 0.05, 0.1, 0.1, 5.0, 5.0, 5.0):
        time[0] = at
        try:
            gateway._check_quota(gateway._quota, ("key", ""), 0.0)
            passed.append(True)
        except Refusal:
            passed.append(False)
    assert passed == [True, True, False, False, True, False, True, True, False]


def test_old_nonces_are_forgotten() -> None:
    nonces = Nonces()
    for second in range(10_000):
        nonces.burn(("key", str(second)), float(second), memory=100)
    assert len(nonces) == len(nonces._oldest) == 100
    assert nonces.seen(("key", "9999"), 9999)
    assert not nonces.seen(("key", "9000"), 9999)


def test_a_released_nonce_burnt_again_keeps_its_new_time() -> None:
    nonces = Nonces()
    nonces.burn(("key", "n"), 0, memory=100)
    nonces.release(("key", "n"))
    nonces.burn(("key", "n"), 50, memory=100)
    nonces.burn(("key", "other"), 101, memory=100)
    assert nonces.seen(("key", "n"), 149)
