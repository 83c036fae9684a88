"""Fleets that sign the older way, or with temporary credentials."""

from collections.abc import Iterator

import pytest

from tests.fleet.conftest import GroundMaker
from tests.fleet.harness import Line, Scene, Simulator, until
from worker.errors import TaskExpired
from worker.local.processes import ACCESS_KEY_ID, ACCESS_KEY_SECRET

PERMANENT = {"id": ACCESS_KEY_ID, "secret": ACCESS_KEY_SECRET}
TEMPORARY = {"id": "STS.local-temporary", "secret": "its secret", "token": "a token+with/odd=characters&more"}


@pytest.fixture
def accounts(simulator: Simulator) -> Iterator[None]:
    """Lets a temporary access key in, too."""
    simulator.control.set_accounts(PERMANENT, TEMPORARY)
    yield
    simulator.control.set_accounts(PERMANENT)


@pytest.mark.usefixtures("accounts")
# All other fleets of these tests sign with v3 and a permanent key.
@pytest.mark.parametrize(("signature", "temporary"), [("v1", False), ("v3", True)])
def test_a_fleet_signs_as_it_is_set(new_ground: GroundMaker, signature: str, temporary: bool) -> None:
    token = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": TEMPORARY["id"],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": TEMPORARY["secret"],
        "ALIBABA_CLOUD_SECURITY_TOKEN": TEMPORARY["token"],
    }
    ground = new_ground(DTMF_CONCURRENCY=2, CCC_SIGNATURE=signature, **(token if temporary else {}))
    ground.start("one")
    scene, line = Scene(ground), Line.new()
    assert scene.send(line, "12#").get(timeout=30)["state"] == "sent"
    assert {event["signature"] for event in scene.requests(line)} == {
        {"v1": "1.0", "v3": "ACS3-HMAC-SHA256"}[signature]
    }
    assert {event["access_key_id"] for event in scene.requests(line)} == {
        TEMPORARY["id"] if temporary else ACCESS_KEY_ID
    }
    assert scene.verdict(complete=True).broken == []
    assert TEMPORARY["token"] not in ground.logs()


def test_an_access_key_that_the_api_does_not_know_raises_one_alarm_and_tasks_wait_for_the_operator(
    new_ground: GroundMaker,
) -> None:
    """Requests pause, but for a probe now and then; those whose deadline passes expire, the others are sent."""
    ground = new_ground(DTMF_CONCURRENCY=8, DTMF_PROBE_MS=1000)
    ground.start("one", "two")
    scene = Scene(ground)
    crowd, late = [Line.new() for _ in range(20)], Line.new()
    scene.control.set_accounts(TEMPORARY)
    try:
        results = [scene.send(line, "12#", expires_in=120) for line in crowd]
        with pytest.raises(TaskExpired, match=r"InvalidAccessKeyId\.NotFound"):
            until(lambda: scene.requests(crowd[0]), "a request") and scene.send(late, "3", expires_in=3).get(timeout=30)
        requests = scene.control.requests(scene.since_requests)
        assert ground.send_dtmf.door.queue.refusal() is not None
    finally:
        scene.control.set_accounts(PERMANENT)
    assert all(result.get(timeout=60)["state"] == "sent" for result in results)
    assert scene.verdict().broken == []
    assert {event["code"] for event in requests} == {"InvalidAccessKeyId.NotFound"}
    # Each of the 16 threads may have had its request on the way when the first was refused; then there are probes.
    assert len(requests) < 40
    assert ground.logs().count("alarm.refused") == 1
    until(lambda: ground.send_dtmf.door.queue.refusal() is None, "no pause any more")
