"""Each fault of a scene, over HTTP; and which requests a rule is for."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from pydantic import ValidationError

from tests.simulator.sender import CHANNEL, JOB, PARAMETERS, Sender, code, v3
from worker.simulator.control import SimulatorControl, SimulatorError
from worker.simulator.scene import NOTHING, Match, Rule, Scene, Stage
from worker.simulator.shapes import ODD

NO_ANSWER = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread; the time-out is for a broken program."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


@pytest.mark.parametrize("fault", ["lag", "latency", "answer_after"])
def test_delays_end_in_an_answer(simulator: SimulatorControl, sender: Sender, fault: str) -> None:
    simulator.set_scene({"rules": [{fault: [0.05, 0.06]}]})
    started = time.monotonic()
    assert code(sender.press()) == "OK"
    assert time.monotonic() - started >= 0.05
    (heard,), (request,) = simulator.heard(), simulator.requests()
    first = "executed_at" if fault == "answer_after" else "received_at"
    last = request["done_at"] if fault == "answer_after" else heard["executed_at"]
    assert last - heard[first] >= 0.049, "the clock of the log is not the one that waits"


def test_a_late_copy_is_executed_though_nobody_waits(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"lag": 0.6, "match": {"times": 1}}]})
    request = v3(simulator.url, PARAMETERS)
    with pytest.raises(requests.Timeout):
        sender.send(request, timeout=0.2)
    sender.send(request)
    until(lambda: len(simulator.requests()) == 2)
    entries = {bool(entry["rules"]): entry for entry in simulator.requests()}
    assert {entry["code"] for entry in entries.values()} == {"OK", "SignatureNonceUsed"}
    assert (entries[True]["answered"], entries[False]["answered"]) == (False, True)
    assert len(simulator.heard()) == 1


def test_a_late_copy_alone_is_heard_late(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"lag": 0.5}]})
    with pytest.raises(requests.Timeout):
        sender.send(v3(simulator.url, PARAMETERS), timeout=0.2)
    until(lambda: len(simulator.heard()) == 1)


def test_an_answer_beyond_the_time_out(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"answer_after": 3600, "match": {"times": 1}}]})
    request = v3(simulator.url, PARAMETERS)
    with pytest.raises(requests.Timeout):
        sender.send(request, timeout=0.3)
    until(lambda: len(simulator.heard()) == 1)
    assert code(sender.send(request)) == "SignatureNonceUsed"


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize(("when", "again"), [("before", "OK"), ("after", "SignatureNonceUsed")])
def test_the_connection_is_dropped(
    simulator: SimulatorControl, sender: Sender, when: str, again: str, how: str
) -> None:
    simulator.set_scene({"rules": [{"name": "cut", "drop": {"when": when, "how": how}, "match": {"times": 1}}]})
    request = v3(simulator.url, PARAMETERS)
    with pytest.raises(requests.ConnectionError) as dropped:
        sender.send(request)
    assert ("ConnectionResetError" in repr(dropped.value)) is (how == "reset")
    assert len(simulator.heard()) == (1 if when == "after" else 0)
    entry = simulator.requests()[0]
    assert (entry["answered"], entry["executed"], entry["rules"]) == (False, when == "after", ["cut"])
    assert code(sender.send(request)) == again
    assert len(simulator.heard()) == 1


def test_an_error_instead_of_executing(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"error": {"code": "ServiceUnavailable"}}]})
    answer = sender.press()
    assert (answer.status_code, code(answer)) == (503, "ServiceUnavailable")
    assert set(answer.json()) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert simulator.heard() == []


def test_an_error_after_executing(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"error": {"code": "InternalError", "executed": True}}]})
    answer = sender.press()
    assert (answer.status_code, code(answer)) == (500, "InternalError")
    assert len(simulator.heard()) == 1


def test_an_error_with_everything_said(simulator: SimulatorControl, sender: Sender) -> None:
    error = {"code": "Odd.Code", "status": 418, "message": "so it is", "retry_after_ms": 7}
    simulator.set_scene({"rules": [{"error": error}]})
    answer = sender.press()
    assert (answer.status_code, code(answer), answer.json()["Message"]) == (418, "Odd.Code", "so it is")
    assert answer.headers["x-acs-retry-after"] == "7"


def test_status_200_with_another_code(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"error": {"code": "InternalError", "status": 200}}]})
    answer = sender.press()
    assert (answer.status_code, code(answer), answer.json()["HttpStatusCode"]) == (200, "InternalError", 200)


def test_throttling(simulator: SimulatorControl, sender: Sender) -> None:
    quota = {"rate": 0.000_001, "burst": 2, "code": "Throttling.Api", "retry_after_ms": 250}
    simulator.set_scene({"rules": [{"throttle": quota, "match": {"channel": CHANNEL}}]})
    assert [code(sender.press()) for _ in range(3)] == ["OK", "OK", "Throttling.Api"]
    assert sender.press().headers["x-acs-retry-after"] == "250"
    assert code(sender.press(ChannelId="another")) == "OK"


@pytest.mark.parametrize("executed", [False, True])
def test_a_page_instead_of_an_answer(simulator: SimulatorControl, sender: Sender, executed: bool) -> None:
    page = {"status": 503, "executed": executed}
    simulator.set_scene({"rules": [{"page": page, "match": {"times": 1}}]})
    request = v3(simulator.url, PARAMETERS)
    answer = sender.send(request)
    assert (answer.status_code, answer.headers["content-type"]) == (503, "text/html")
    assert "<h1>503" in answer.text
    assert len(simulator.heard()) == int(executed)
    assert code(sender.send(request)) == ("SignatureNonceUsed" if executed else "OK")


def test_a_redirect(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"redirect": {"location": "https://elsewhere.example/", "status": 307}}]})
    answer = sender.press()
    assert (answer.status_code, answer.headers["location"]) == (307, "https://elsewhere.example/")
    assert simulator.heard() == []


def test_a_truncated_answer(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"truncate": 20, "match": {"times": 1}}]})
    with pytest.raises(NO_ANSWER):
        sender.press()
    assert len(simulator.heard()) == 1
    assert code(sender.press()) == "OK"


def test_a_trickled_answer_is_whole_in_the_end(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"trickle": {"every": 0.0005, "size": 5}}]})
    assert code(sender.press()) == "OK"


def test_a_trickled_answer_may_take_for_ever(simulator: SimulatorControl) -> None:
    simulator.set_scene({"rules": [{"trickle": {"every": 3600, "size": 3}}]})
    with requests.Session() as session:
        answer = session.send(v3(simulator.url, PARAMETERS), stream=True, timeout=20)
        assert answer.raw.read(3) == b'{"R'
        answer.close()
    assert len(simulator.heard()) == 1


@pytest.mark.parametrize("gone", ["channel", "job", "instance"])
def test_a_call_hangs_up(simulator: SimulatorControl, sender: Sender, gone: str) -> None:
    simulator.set_scene({"rules": [{"hang_up": gone, "match": {"channel": CHANNEL, "digits": 2}}]})
    expected = {"channel": "NotExists.ChannelId", "job": "NotExists.JobId", "instance": "NotExists.InstanceId"}
    assert [code(sender.press(key)) for key in "123"] == ["OK", "OK", expected[gone]]
    assert len(simulator.heard()) == 2


def test_a_refused_digit_hangs_nothing_up(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"hang_up": "channel", "error": {"code": "ServiceUnavailable"}}]})
    assert code(sender.press()) == "ServiceUnavailable"
    simulator.set_scene()
    assert code(sender.press()) == "OK"


@pytest.mark.parametrize("shape", list(ODD))
def test_odd_shapes_are_answers_still(simulator: SimulatorControl, sender: Sender, shape: str) -> None:
    regular = sender.press().json()
    simulator.set_scene({"rules": [{"shapes": [shape]}]})
    answer = sender.press()
    assert (answer.status_code, code(answer)) == (200, "OK")
    assert answer.json() | {"RequestId": ""} != regular | {"RequestId": ""}


def test_all_shapes_but_the_empty_one_at_once(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"shapes": [name for name in ODD if name != "no-data"]}]})
    assert code(sender.press()) == "OK"


def test_the_example_of_the_specification(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"shapes": ["specification"]}]})
    data = sender.press().json()["Data"]
    channel, user = data["CallContext"]["ChannelContexts"], data["UserContext"]
    assert channel["ChannelId"] == 'ch:user:1318888888-&amp;gt;80011474:1609234221870:job-65735740600893440"'
    assert (channel["Originator"], channel["Destination"], channel["ChannelFlags"]) == (1012345678, 80011474, "[]")
    assert (user["Mobile"], user["Extension"]) == (13900000001, 80011474)
    assert user["SignedSkillGroupIdList"] == '["skill-group@ccc-test"]'


def test_the_odd_types(simulator: SimulatorControl, sender: Sender) -> None:
    shapes = ["one-channel-object", "numbers-for-strings", "lists-in-strings", "escaped-channel-id"]
    simulator.set_scene({"rules": [{"shapes": shapes}]})
    data = sender.press().json()["Data"]
    channel, user = data["CallContext"]["ChannelContexts"], data["UserContext"]
    assert channel["Originator"] == 1089898989, "the leading zero is lost"
    assert channel["ChannelId"] == CHANNEL.replace(">", "&amp;gt;") + '"'
    assert isinstance(user["SignedSkillGroupIdList"], str)


def test_rules_combine_and_the_first_counts(simulator: SimulatorControl, sender: Sender) -> None:
    rules = [
        {"name": "slow", "latency": 0.03},
        {"name": "broken", "error": {"code": "InternalError"}},
        {"name": "shadowed", "error": {"code": "ServiceUnavailable"}},
    ]
    simulator.set_scene({"rules": rules})
    started = time.monotonic()
    assert code(sender.press()) == "InternalError"
    assert time.monotonic() - started >= 0.03
    assert simulator.requests()[0]["rules"] == ["slow", "broken", "shadowed"]


def test_rules_are_added_and_counted(simulator: SimulatorControl, sender: Sender) -> None:
    simulator.set_scene({"rules": [{"latency": 0.001, "match": {"every": 2}}]})
    sender.press()
    simulator.add_rules({"name": "added", "error": {"code": "InternalError"}, "match": {"digits": 2}})
    assert code(sender.press()) == "InternalError"
    counts = [(rule["name"], rule["fitted"], rule["applied"]) for rule in simulator.scene()["rules"]]
    assert counts == [("rule-1", 2, 1), ("added", 1, 1)]


def test_a_scene_changes_only_the_settings_that_it_states(simulator: SimulatorControl) -> None:
    simulator.set_settings(burn=False)
    assert simulator.set_scene({"settings": {"nonce_first": True}})["settings"]["burn"] is False
    assert simulator.scene()["settings"]["nonce_first"] is True


@pytest.mark.parametrize(
    ("scene", "field"),
    [
        ({"rules": [{"latencyy": 1}]}, "rules.0.latencyy"),
        ({"rules": [{"match": {"chanel": "x"}, "latency": 1}]}, "rules.0.match.chanel"),
        ({"rules": [{"error": {"code": "X", "executd": True}}]}, "rules.0.error.executd"),
        ({"rules": [{"drop": {"when": "during"}}]}, "rules.0.drop.when"),
        ({"rules": [{"latency": -1}]}, "rules.0.latency"),
        ({"rules": [{"match": {"probability": 2}, "latency": 1}]}, "rules.0.match.probability"),
        ({"rules": [{"match": {}}]}, "no fault"),
        ({"rules": [{"shapes": ["round"]}]}, "'round'"),
        ({"setings": {}}, "setings"),
        ({"settings": {"burned": True}}, "settings.burned"),
    ],
)
def test_a_typo_is_named(simulator: SimulatorControl, scene: dict[str, Any], field: str) -> None:
    with pytest.raises(SimulatorError, match=field):
        simulator.set_scene(scene)
    assert simulator.scene()["rules"] == []


def test_what_is_not_json_is_refused(simulator: SimulatorControl) -> None:
    answer = requests.put(f"{simulator.url}/_sim/scene", data=b"{rules", timeout=20)
    assert (answer.status_code, "Invalid JSON" in answer.json()["error"]) == (422, True)


def planned(match: dict[str, Any], requests_made: list[tuple[str, int]], seed: int = 0) -> list[bool]:
    """Which of the requests (channel, digits it has heard) a rule applies to."""
    heard = 0
    scene = Scene(seed=seed, rules=[Rule(match=Match.model_validate(match), latency=1)])
    stage = Stage(scene, lambda _key: heard, clock=lambda: 0.0)
    result = []
    for channel, digits in requests_made:
        heard = digits
        result.append(stage.plan(("ccc-test", f"job-{channel}", channel)) is not NOTHING)
    return result


ONE_CHANNEL = [("a", 0)] * 6


@pytest.mark.parametrize(
    ("match", "made", "expected"),
    [
        ({}, ONE_CHANNEL, "yyyyyy"),
        ({"every": 3}, ONE_CHANNEL, "..y..y"),
        ({"times": 2}, ONE_CHANNEL, "yy...."),
        ({"every": 2, "times": 2}, ONE_CHANNEL, ".y.y.."),
        ({"requests": 2}, ONE_CHANNEL, ".y...."),
        ({"requests": [2, 4]}, ONE_CHANNEL, ".yyy.."),
        ({"requests": [5, None]}, ONE_CHANNEL, "....yy"),
        ({"requests": 2}, [("a", 0), ("b", 0), ("b", 0), ("a", 0)], "..yy"),
        ({"digits": 2}, [("a", 0), ("a", 1), ("a", 1), ("a", 2)], ".yy."),
        ({"digits": [2, None]}, [("a", 0), ("a", 1), ("a", 2)], ".yy"),
        ({"channel": "b"}, [("a", 0), ("b", 0)], ".y"),
        ({"channel": ["a", "c"]}, [("a", 0), ("b", 0), ("c", 0)], "y.y"),
        ({"job": "job-a"}, [("a", 0), ("b", 0)], "y."),
        ({"instance": "other"}, [("a", 0)], "."),
        ({"instance": "ccc-test", "channel": "b"}, [("a", 0), ("b", 0)], ".y"),
        ({"probability": 0}, ONE_CHANNEL, "......"),
    ],
)
def test_a_match(match: dict[str, Any], made: list[tuple[str, int]], expected: str) -> None:
    assert "".join("y" if applied else "." for applied in planned(match, made)) == expected


def test_chances_repeat_with_their_seed() -> None:
    made = [("a", 0)] * 1000
    first = planned({"probability": 0.3}, made, seed=1)
    assert first == planned({"probability": 0.3}, made, seed=1)
    assert first != planned({"probability": 0.3}, made, seed=2)
    assert 200 < sum(first) < 400


def test_a_rule_has_to_do_something() -> None:
    with pytest.raises(ValidationError):
        Rule(name="idle", match=Match(job=JOB))
