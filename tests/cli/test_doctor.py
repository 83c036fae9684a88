"""doctor: each line says what is so, and it goes on whatever is broken. Workers: see test_live.py."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.ccc.certificates import Certificates, make_certificates
from tests.channel.desk import CH, LONG_AGO
from tests.channel.desk import Desk as Queues
from tests.cli.conftest import Dtmf
from worker.channel.intake import DeadLetter, IntakeQueue
from worker.channel.server import connect
from worker.channel.steps import Verdict
from worker.cli.checks import fleet
from worker.local.redis import LocalRedis, free_port
from worker.simulator.config import SimulatorConfig
from worker.simulator.control import SimulatorControl
from worker.simulator.server import running
from worker.vault import new_secret_key

SECRETS = ("LTAI-m4rker", "s3cret-m4rker", "t0ken-m4rker", "geheim-hunter2")
CHECKS = (
    "settings",
    "secret keys",
    "redis",
    "memory",
    "persistence",
    "clock",
    "credentials",
    "api",
    "api clock",
    "workers",
    "follower",
    "intake",
    "account",
    "waiting",
    "overdue",
)


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatorControl]:
    with running() as control:
        yield control


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def env(dtmf: Dtmf, simulator: SimulatorControl, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """All that a worker needs; a test changes it."""
    del dtmf  # it sets the environment of a producer first
    # Nobody answers here.
    monkeypatch.setattr(fleet, "_ASK_S", 0.05)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "DTMF_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("CCC_INSTANCE_ID", "CCC_USER_ID", "CCC_DEVICE_ID"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("CCC_ENDPOINT", simulator.url)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", SECRETS[0])
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRETS[1])
    return monkeypatch


@pytest.fixture
def examine(dtmf: Dtmf, env: pytest.MonkeyPatch) -> Any:
    """Run the doctor, under further settings; answers its findings by check, and sees that no secret is shown."""

    def run(*options: str, **settings: str) -> dict[str, list[Any]]:
        for name, value in settings.items():
            env.setenv(name, value)
        done = dtmf("doctor", "--json", *options)
        assert not [secret for secret in SECRETS if secret in done.output]
        assert done.stderr == ""
        report = json.loads(done.stdout)
        levels = {finding["level"] for finding in report["checks"]}
        assert done.exit_code == (0 if report["ok"] else 1)
        assert report["ok"] == (not levels & ({"fault", "warning"} if "--strict" in options else {"fault"}))
        found: dict[str, list[Any]] = {}
        for finding in report["checks"]:
            found.setdefault(finding["check"], []).append(finding)
        assert tuple(found) == CHECKS
        return found

    return run


def levels(found: dict[str, list[Any]]) -> dict[str, str]:
    """The worst of each check."""
    order = ["ok", "skipped", "warning", "fault"]
    return {name: max((one["level"] for one in lines), key=order.index) for name, lines in found.items()}


def told(found: dict[str, list[Any]], check: str) -> str:
    return "; ".join(f"{line['text']} -> {line['do']}" for line in found[check])


def test_with_all_right_but_for_a_worker_all_else_is_fine(examine: Any, redis_client: Redis) -> None:
    redis_client.config_set("appendfsync", "always")
    try:
        found = examine()
    finally:
        redis_client.config_set("appendfsync", "no")
    assert {name for name, level in levels(found).items() if level != "ok"} == {"workers"}
    assert "start one: celery -A worker worker" in told(found, "workers")


def test_people_see_a_line_each_and_what_to_do(dtmf: Dtmf, env: pytest.MonkeyPatch) -> None:
    env.delenv("CCC_USER_ID")
    done = dtmf("doctor")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert "warning settings    not set here: CCC_USER_ID -> a worker needs them; a producer does not" in lines
    assert re.search(r"^ok      redis       Valkey [\d.]+ answers in", done.stdout, re.MULTILINE)
    assert re.search(r"^fault   workers     none answered", done.stdout, re.MULTILINE)
    assert not [secret for secret in SECRETS if secret in done.output]


def test_without_any_setting_it_names_what_is_missing_and_says_what_it_skipped(
    examine: Any, env: pytest.MonkeyPatch
) -> None:
    for name in ("REDIS_URL", "DTMF_SECRET_KEYS", "CCC_INSTANCE_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"):
        env.delenv(name)
    found = examine()
    assert "REDIS_URL is missing" in told(found, "settings")
    assert "DTMF_SECRET_KEYS is missing" in told(found, "settings")
    assert "not set here: CCC_INSTANCE_ID" in told(found, "settings")
    assert "none found here" in told(found, "credentials")
    seen = levels(found)
    assert {name for name, level in seen.items() if level == "skipped"} == {
        "account",
        "secret keys",
        "redis",
        "memory",
        "persistence",
        "clock",
        "workers",
        "follower",
        "intake",
        "waiting",
        "overdue",
    }
    assert "because REDIS_URL is missing or wrong" in told(found, "overdue")
    assert (seen["credentials"], seen["api"]) == ("warning", "ok")


def test_a_dead_redis_stops_none_of_the_other_checks(examine: Any, env: pytest.MonkeyPatch) -> None:
    env.setenv("REDIS_URL", f"redis://:{SECRETS[3]}@127.0.0.1:{free_port()}/0")
    found = examine()
    assert "Redis does not answer (ConnectionRefusedError)" in told(found, "redis")
    assert "because Redis does not answer" in told(found, "workers")
    seen = levels(found)
    assert (seen["secret keys"], seen["credentials"], seen["api"], seen["api clock"]) == ("ok",) * 4


def test_a_refused_password_is_called_that(examine: Any, env: pytest.MonkeyPatch, redis_server: LocalRedis) -> None:
    env.setenv("REDIS_URL", redis_server.url.replace("//", f"//crm:{SECRETS[3]}@"))
    found = examine()
    assert "refuses the user or password of REDIS_URL" in told(found, "redis")
    assert "because Redis refuses the user or password" in told(found, "memory")


def test_a_user_who_may_not_see_everything_still_gets_the_rest(
    examine: Any, env: pytest.MonkeyPatch, redis_client: Redis, redis_server: LocalRedis
) -> None:
    commands = ["+@all", "-config", "-xinfo"]
    redis_client.acl_setuser("crm", True, passwords=[f"+{SECRETS[3]}"], commands=commands, keys=["*"], channels=["*"])
    redis_client.xadd("dtmf:records", {"record": "{}"})
    env.setenv("REDIS_URL", redis_server.url.replace("//", f"//crm:{SECRETS[3]}@"))
    try:
        found = examine()
    finally:
        redis_client.acl_deluser("crm")
    assert "appendfsync not shown" in told(found, "persistence")
    assert "NOPERM" in told(found, "follower")
    seen = levels(found)
    assert (seen["redis"], seen["persistence"], seen["follower"], seen["waiting"]) == ("ok", "ok", "fault", "ok")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DTMF_LEASE_MS", "500", "DTMF_LEASE_MS must be at least three times DTMF_BEAT_MS"),
        ("DTMF_CONCURRENCY", "many", "DTMF_CONCURRENCY is wrong"),
        ("DTMF_DEADLINE", "30000", "DTMF_DEADLINE is set, and is no setting -> did you mean DTMF_DEADLINE_MS?"),
        ("CCC_X", "1", "CCC_X is set, and is no setting -> take it out"),
    ],
)
def test_settings_that_are_wrong_or_none_are_named(
    examine: Any, env: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    env.setenv(name, value)
    found = examine()
    assert said in told(found, "settings")
    assert levels(found)["redis"] == "ok"


def test_the_settings_of_flower_are_no_strangers(examine: Any, env: pytest.MonkeyPatch) -> None:
    for name in ("DTMF_FLOWER_USER", "DTMF_FLOWER_PASSWORD", "DTMF_FLOWER_ADDRESS"):
        env.setenv(name, "given")
    assert "is no setting" not in told(examine(), "settings")


def test_secret_keys_are_shown_as_fingerprints(examine: Any, env: pytest.MonkeyPatch) -> None:
    keys = [new_secret_key(), new_secret_key()]
    env.setenv("DTMF_SECRET_KEYS", ",".join(keys))
    found = examine()
    assert re.match(r"fingerprint [0-9a-f]{8} in use, 1 more understood", told(found, "secret keys"))
    assert not [key for key in keys if key in json.dumps(found)]


def test_a_server_that_loses_or_drops_tasks_is_named_with_what_to_set(
    tmp_path: Path, examine: Any, env: pytest.MonkeyPatch
) -> None:
    with LocalRedis(tmp_path / "redis", appendonly="no", maxmemory="100mb") as server:
        client = connect(server.url, timeout=5)
        env.setenv("REDIS_URL", server.url)
        client.config_set("maxmemory-policy", "allkeys-lru")
        found = examine()
        assert "allkeys-lru" in told(found, "memory")
        assert "set appendonly yes" in told(found, "persistence")
        env.setenv("DTMF_REDIS_ALLOW_VOLATILE", "1")
        client.config_set("maxmemory-policy", "noeviction")
        found = examine()
        assert (levels(found)["memory"], levels(found)["persistence"]) == ("ok", "warning")
        client.config_set("maxmemory", "1mb")
        assert "raise maxmemory" in told(examine(), "memory")
        client.config_set("maxmemory", "0")
        client.config_set("appendonly", "yes")
        client.config_set("appendfsync", "everysec")
        assert "a crash may lose the last writes -> set appendfsync always" in told(examine(), "persistence")
        client.replicaof("127.0.0.1", str(free_port()))
        found = examine()
        assert "it is a replica" in told(found, "redis")
        assert "because Redis takes no writes" in told(found, "workers")
        # It would wait for its rewrite.
        server.kill()
        client.close()


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (5, "warning"), (-3600, "fault")])
def test_a_clock_that_is_off_is_seen(examine: Any, env: pytest.MonkeyPatch, seconds: float, level: str) -> None:
    now = time.time
    env.setattr("worker.cli.checks.server.time.time", lambda: now() - seconds)
    found = examine()
    assert levels(found)["clock"] == level
    if seconds:
        assert f"it is {'ahead' if seconds > 0 else 'behind'}" in told(found, "clock")
        assert "NTP" in told(found, "clock")


@pytest.mark.parametrize(("seconds", "level"), [(0, "ok"), (120, "warning"), (-1200, "fault")])
def test_an_api_that_has_another_time_is_seen(
    examine: Any, simulator: SimulatorControl, seconds: float, level: str
) -> None:
    simulator.set_settings(clock_offset=seconds)
    try:
        found = examine()
    finally:
        simulator.set_settings(clock_offset=0)
    assert levels(found)["api clock"] == level
    assert ("refused if it is 15 minutes off" in told(found, "api clock")) == (seconds != 0)


def test_where_redis_is_away_the_api_tells_this_machine_the_time(
    examine: Any, env: pytest.MonkeyPatch, simulator: SimulatorControl
) -> None:
    env.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert "this machine and the API differ by 0 s" in told(examine(), "api clock")
    assert simulator.heard() == []


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("https://nosuch.invalid", "the name nosuch.invalid cannot be resolved"),
        ("https://127.0.0.1:{closed}", "the connection is refused"),
        ("https://127.0.0.1:{http}", "TLS failed"),
        ("https://127.0.0.1:{https}", "its certificate is not trusted (self-signed certificate"),
        ("ftp://127.0.0.1", "because CCC_ENDPOINT is wrong"),
    ],
)
def test_an_endpoint_that_is_not_reached_says_at_which_step(
    examine: Any, simulator: SimulatorControl, certificates: Certificates, endpoint: str, said: str
) -> None:
    with running(over_tls(certificates, "alone")) as https:
        ports = {"closed": free_port(), "http": port_of(simulator.url), "https": port_of(https.url)}
        found = examine(CCC_ENDPOINT=endpoint.format(**ports))
    assert said in told(found, "api")
    assert levels(found)["api clock"] == "skipped"
    assert "because the API was not reached" in told(found, "api clock")


def over_tls(certificates: Certificates, name: str) -> SimulatorConfig:
    pem = Path(certificates.bundle).parent / f"{name}.pem"
    return SimulatorConfig(tls_cert=pem, tls_key=pem)


def test_an_endpoint_under_the_deployments_own_authority_is_reached(examine: Any, certificates: Certificates) -> None:
    with running(over_tls(certificates, "trusted")) as https:
        found = examine(CCC_ENDPOINT=https.url, CCC_CA_BUNDLE=certificates.bundle)
    assert (levels(found)["api"], levels(found)["api clock"]) == ("ok", "ok")


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def test_a_proxy_is_named_without_its_password(examine: Any) -> None:
    port = free_port()
    proxy = f"http://user:{SECRETS[3]}@127.0.0.1:{port}"
    said = told(examine(CCC_ENDPOINT="https://ccc.invalid", HTTPS_PROXY=proxy), "api")
    assert f"https://ccc.invalid through the proxy 127.0.0.1:{port}: " in said
    assert "correct HTTPS_PROXY" in said


def test_a_gateway_that_answers_for_the_api_is_no_api(examine: Any, simulator: SimulatorControl) -> None:
    simulator.add_rules({"page": {"status": 503}})
    try:
        found = examine()
    finally:
        simulator.set_scene({})
    assert "HTTP 503" in told(found, "api")


@pytest.mark.parametrize(
    ("given", "level", "said"),
    [
        ({}, "ok", "without end"),
        ({"SECURITY_TOKEN": SECRETS[2]}, "ok", "temporary, its end is not known here"),
        ({"ACCESS_KEY_SECRET": f"{SECRETS[1]}\n"}, "fault", "ASCII"),
        ({"ACCESS_KEY_ID": "", "ACCESS_KEY_SECRET": ""}, "warning", "none found here"),
    ],
)
def test_credentials_are_described_and_not_shown(examine: Any, given: dict[str, str], level: str, said: str) -> None:
    found = examine(**{f"ALIBABA_CLOUD_{name}": value for name, value in given.items()})
    assert levels(found)["credentials"] == level
    assert said in told(found, "credentials")


def test_channels_that_nobody_looks_at_are_a_fault(examine: Any, queues: Queues) -> None:
    queues.enqueue("t1")
    assert levels(examine())["overdue"] == "ok"
    queues.sweep_due()
    found = examine()
    assert "1 channel overdue" in told(found, "overdue")
    assert "1 task on 1 channel" in told(found, "waiting")


def test_a_backlog_near_its_limit_is_a_warning(examine: Any, env: pytest.MonkeyPatch, queues: Queues) -> None:
    env.setenv("DTMF_SYSTEM_LIMIT", "2")
    env.setenv("DTMF_CHANNEL_LIMIT", "1")
    for i in range(2):
        queues.enqueue(f"t{i}", ch=f"{i}" * 32)
    found = examine("--strict")
    assert levels(found)["waiting"] == "warning"
    assert "2 tasks on 2 channels" in told(found, "waiting")


def test_results_that_are_not_written_are_seen(examine: Any, queues: Queues) -> None:
    assert "no task has ended yet" in told(examine(), "follower")
    queues.enqueue("t1")
    queues.settle("r1", queues.take("r1"), Verdict.OK)
    assert "no worker has ever followed" in told(examine(), "follower")
    queues.redis.xgroup_create("dtmf:records", "results", id="0")
    assert "keeps up: 1 unread, 0 being written" in told(examine(), "follower")
    for age, level in ((30_000, "warning"), (120_000, "fault")):
        queues.redis.delete("dtmf:records")
        queues.redis.xadd("dtmf:records", {"record": "{}"}, id=f"{queues.now() - age}-0")
        queues.redis.xgroup_create("dtmf:records", "results", id="0")
        assert levels(examine())["follower"] == level
        queues.redis.xreadgroup("results", "dead", {"dtmf:records": ">"})
        found = examine()
        assert levels(found)["follower"] == level
        assert "0 unread, 1 being written, the oldest for" in told(found, "follower")


def test_who_takes_foreign_messages_and_what_stands_there_is_seen(examine: Any, queues: Queues) -> None:
    assert "nobody takes foreign messages; 0 messages on their lists" in told(examine(), "intake")
    queues.redis.lpush("dtmf", "a", "b")
    queues.redis.lpush("dtmf\x06\x163", "c")
    found = examine()
    assert "nobody takes foreign messages; 3 messages on their lists -> each worker is ready" in told(found, "intake")
    assert levels(found)["intake"] == "warning"
    intake = IntakeQueue(queues.redis, queues.limits, "w1@host")
    intake.hold("token")
    found = examine()
    assert "w1@host takes foreign messages; 3 messages" in told(found, "intake")
    assert levels(found)["intake"] == "ok"
    queues.redis.hset("dtmf:intake", "lease_until", LONG_AGO)
    assert levels(examine())["intake"] == "warning"
    intake.hold("token")
    queues.redis.hset("dtmf:intake", "boot", "an-earlier-boot")
    assert levels(examine())["intake"] == "warning"


def test_dead_letters_are_a_warning_until_they_are_dropped(examine: Any, queues: Queues, dtmf: Dtmf) -> None:
    queues.redis.lpush("dtmf", "a")
    intake = IntakeQueue(queues.redis, queues.limits, "w1@host")
    intake.hold("token")
    intake.take("token", "dtmf", [("a", DeadLetter("1a2b3c4d", "", "not JSON", None))], publish=0)
    found = examine("--strict")
    assert "1 dead letter kept, 1 since ever -> dtmf dead-letters shows them" in told(found, "intake")
    assert levels(found)["intake"] == "warning"
    dtmf("dead-letters", "drop", "1a2b3c4d")
    assert levels(examine())["intake"] == "ok"


def test_nothing_is_left_behind_or_changed(examine: Any, queues: Queues) -> None:
    queues.enqueue("t1")
    queues.redis.zadd("dtmf:due", {CH: LONG_AGO})
    before = set(queues.redis.keys())
    examine()
    # What kombu keeps of its own, of any broadcast.
    assert set(queues.redis.keys()) - {"_kombu.binding_deadlines"} == before
    assert queues.due() == LONG_AGO
