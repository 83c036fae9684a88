"""The API behind the gateway: parameters, instances, calls and channels, and the log of what they heard."""

import pytest
import requests

from tests.simulator.sender import CHANNEL, JOB, PARAMETERS, Sender, code, v1, v3
from worker.simulator.config import SimulatorConfig
from worker.simulator.control import SimulatorControl
from worker.simulator.server import running

SIGNERS = [pytest.param(v3, id="v3"), pytest.param(v1, id="v1")]


@pytest.mark.parametrize("name", ["ChannelId", "DeviceId", "Dtmf", "InstanceId", "JobId", "UserId"])
@pytest.mark.parametrize("empty", [False, True], ids=["left out", "empty"])
def test_each_parameter_is_required(simulator: SimulatorControl, sender: Sender, name: str, empty: bool) -> None:
    parameters = dict(PARAMETERS)
    if empty:
        parameters[name] = ""
    else:
        del parameters[name]
    answer = sender.send(v3(sender.url, parameters))
    assert (answer.status_code, code(answer)) == (400, "MissingParameter")
    assert f'"{name}"' in answer.json()["Message"]
    assert simulator.heard() == []


@pytest.mark.parametrize("dtmf", ["12", "A", " ", "\uff11", "w", "+"])
def test_one_key_a_request(simulator: SimulatorControl, sender: Sender, dtmf: str) -> None:
    answer = sender.press(dtmf)
    assert (answer.status_code, code(answer)) == (400, "InvalidParameter")
    assert simulator.heard() == []


def test_an_instance_that_does_not_exist(sender: Sender) -> None:
    answer = sender.press(InstanceId="other")
    assert (answer.status_code, code(answer)) == (404, "NotExists.InstanceId")
    assert answer.json()["Message"] == "The specified instance other does not exist."
    assert set(answer.json()) == {"RequestId", "HttpStatusCode", "Code", "Message", "Params"}


@pytest.mark.parametrize(
    ("gone", "expected", "message"),
    [
        ("channel", "NotExists.ChannelId", f"The specified channel {CHANNEL} does not exist in call {JOB}."),
        ("job", "NotExists.JobId", f"The call {JOB} does not exist."),
        ("instance", "NotExists.InstanceId", "The specified instance ccc-test does not exist."),
    ],
)
def test_a_call_ends(simulator: SimulatorControl, sender: Sender, gone: str, expected: str, message: str) -> None:
    assert code(sender.press()) == "OK"
    simulator.end_call(CHANNEL, JOB, gone=gone)
    answer = sender.press()
    assert (answer.status_code, code(answer), answer.json()["Message"]) == (404, expected, message)
    assert len(simulator.heard()) == 1


def test_a_call_may_end_before_anybody_knew_it(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.end_call(CHANNEL, JOB)
    assert code(sender.press()) == "NotExists.ChannelId"
    assert code(sender.press(ChannelId="another channel of the call")) == "OK"
    simulator.register_call(CHANNEL, JOB)
    assert code(sender.press()) == "OK"


@pytest.mark.parametrize("gone", ["channel", "job", "instance"])
def test_a_call_ends_after_some_digits(simulator: SimulatorControl, sender: Sender, gone: str) -> None:
    simulator.register_call(CHANNEL, JOB, end_after=2, gone=gone)
    codes = [code(sender.press(key)) for key in "123"]
    assert codes[:2] == ["OK", "OK"]
    assert codes[2] == {"channel": "NotExists.ChannelId", "job": "NotExists.JobId"}.get(gone, "NotExists.InstanceId")
    assert [heard["key"] for heard in simulator.heard()] == ["1", "2"]


def test_strict_knows_registered_calls_only(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_settings(strict=True)
    assert code(sender.press()) == "NotExists.JobId"
    simulator.register_call(CHANNEL, JOB)
    assert code(sender.press()) == "OK"
    assert code(sender.press(ChannelId="another")) == "NotExists.ChannelId"


def test_the_log_of_what_was_heard(simulator: SimulatorControl, sender: Sender) -> None:
    keys = "1234567890*#"
    answers = [sender.press(key, nonce=f"nonce-{key}") for key in keys]
    heard = simulator.heard()
    assert [entry["key"] for entry in heard] == list(keys)
    assert [entry["seq"] for entry in heard] == list(range(1, 13))
    assert [entry["request_id"] for entry in heard] == [answer.json()["RequestId"] for answer in answers]
    assert heard[3]["nonce"] == "nonce-4"
    assert {(entry["channel_id"], entry["job_id"], entry["instance_id"]) for entry in heard} == {
        (CHANNEL, JOB, "ccc-test")
    }
    times = [entry["executed_mono"] for entry in heard]
    assert times == sorted(times)
    assert all(entry["received_at"] <= entry["executed_at"] for entry in heard)
    assert simulator.heard(since=10) == heard[10:]


def test_the_log_of_requests(simulator: SimulatorControl, sender: Sender) -> None:
    sender.press("1", nonce="n")
    sender.press("1", nonce="n")
    first, second = simulator.requests()
    assert (first["code"], first["executed"], first["heard"], first["answered"]) == ("OK", True, 1, True)
    assert (second["code"], second["executed"], second["heard"], second["http_status"]) == (
        "SignatureNonceUsed",
        False,
        None,
        400,
    )
    assert simulator.requests(since=1) == [second]
    assert "key" not in first


def test_the_stats(simulator: SimulatorControl, sender: Sender) -> None:
    sender.press(nonce="n")
    sender.press(nonce="n")
    stats = simulator.stats()
    assert (stats["requests"], stats["heard"], stats["nonces"]) == (2, 1, 1)
    assert stats["codes"] == {"OK": 1, "SignatureNonceUsed": 1}


def test_reset_forgets_everything(simulator: SimulatorControl, sender: Sender) -> None:
    sender.press(nonce="n")
    simulator.end_call(CHANNEL, JOB, gone="instance")
    simulator.set_scene({"settings": {"strict": True}, "rules": [{"error": {"code": "InternalError"}}]})
    simulator.reset()
    assert (simulator.heard(), simulator.requests(), simulator.scene()["rules"]) == ([], [], [])
    assert code(sender.press(nonce="n")) == "OK"


def test_the_request_log_is_bounded() -> None:
    with running(SimulatorConfig(keep_requests=3)) as control:
        sender = Sender(control.url)
        for key in "12345":
            sender.press(key)
        sender.close()
        assert [entry["seq"] for entry in control.requests()] == [3, 4, 5]
        assert [entry["seq"] for entry in control.requests(since=4)] == [5]
        assert len(control.heard()) == 5


def test_a_request_without_anything(simulator: SimulatorControl) -> None:
    answer = requests.post(simulator.url, timeout=20)
    assert code(answer) == "MissingParameter"
    assert simulator.requests()[0]["code"] == "MissingParameter"
