"""After a scene with every kind of fault, no key, number or secret stands in a log or in Redis."""

from collections.abc import Iterator
from typing import Any

from redis import Redis

from tests.fleet.conftest import GroundMaker
from tests.fleet.harness import QUICK, Line, Scene
from worker.local.processes import ACCESS_KEY_SECRET

PIN = "739174028561#"
CALLER, CALLED = "01077733355", "13944466622"
FAULTS: list[dict[str, Any]] = [
    {"latency": 0.01},
    {"error": {"code": "NotExists.ChannelId", "status": 404}},
    {"error": {"code": "InternalError", "status": 500, "executed": True}},
    {"error": {"code": "Throttling.User", "status": 400}},
    {"error": {"code": "InvalidParameter", "status": 400}},
    {"drop": {"when": "after", "how": "reset"}},
    {"drop": {"when": "before"}},
    {"page": {"status": 502, "executed": True}},
    {"redirect": {"location": f"http://127.0.0.1:1/?Dtmf=7&ChannelId={CALLER}"}},
    {"truncate": 40},
    {"answer_after": 4},
    {"shapes": ["specification"]},
]


def everything(client: "Redis") -> Iterator[str]:
    """Every name and value that the server holds."""
    for key in client.scan_iter(count=1000):
        yield str(key)
        kind: Any = client.type(key)
        match kind:
            case "string":
                yield str(client.get(key))
            case "hash":
                yield str(client.hgetall(key))
            case "list":
                yield str(client.lrange(key, 0, -1))
            case "set":
                yield str(client.smembers(key))
            case "zset":
                yield str(client.zrange(key, 0, -1, withscores=True))
            case "stream":
                yield str(client.xrange(key))
            case "none":  # it has just expired
                pass
            case _:
                raise AssertionError(f"a {kind} is not looked into")


def test_no_key_number_or_secret_stands_in_a_log_or_in_redis(new_ground: GroundMaker) -> None:
    ground = new_ground(DTMF_CONCURRENCY=16, **QUICK)
    ground.start("one", "two")
    scene, secrets = Scene(ground), {PIN, PIN[:6], CALLER, CALLED, ACCESS_KEY_SECRET}
    secrets.update(ground.env["DTMF_SECRET_KEYS"].split(","))
    for number, fault in enumerate(FAULTS):
        line = Line(
            f"ch:customer:{CALLER}->{CALLED}:16092342218{number:02}:job-secret-{number:02}", f"job-secret-{number:02}"
        )
        scene.rule(line, match={"requests": [2, 4]}, **fault)
        scene.send(line, PIN, expires_in=5)
        scene.send(line, PIN, expires_in=7, user_id=f"{CALLER}@ccc-test")
    waiting = Line(f"ch:customer:{CALLER}->{CALLED}:1609234221899:job-secret-99", "job-secret-99")
    ground.send_dtmf.pause(waiting.channel_id)
    scene.settle()
    scene.send(waiting, PIN, expires_in=60)
    assert len({str(state) for state in {record.state for record in scene.records().values()}}) >= 4
    ground.worker("one").stop()
    texts = [ground.logs(), *everything(ground.client)]
    assert len(texts) > 100
    for text in texts:
        found = [secret for secret in (*secrets, "job-secret") if secret in text]
        assert found == [], text[:300]
    assert ground.faults() == []
