"""Addresses among the settings: Redis, the API, and what is this machine."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.faults import is_this_machine
from tests.unit.environment import PRODUCER, SECRET, faults, load, told


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1",
        "redis://127.8.9.1:6379/3",
        "redis://[::1]:6379/0",
        "redis://localhost/0",
        "redis://user:p%2Fss@LOCALHOST:6379",
        "rediss://:pw@ec2-1.compute.example:12345",
        "rediss://user:p@ss@redis_server:6379/15",
    ],
)
def test_a_redis_url_of_the_usual_forms_is_taken(url: str) -> None:
    assert load({**PRODUCER, "REDIS_URL": url}).REDIS_URL.get_secret_value() == url


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        f"http://:{SECRET}@localhost",
        "redis://",
        f"redis://:{SECRET}@",
        f"redis://:a[{SECRET}]b@localhost/0",
        f"redis://:{SECRET}\u2100@localhost/0",
        f"rediss://user:{SECRET}/x@localhost/0",
        f"rediss://user:{SECRET}#x@localhost/0",
        f"rediss://user:{SECRET}?x@localhost/0",
        f"redis://:{SECRET}@localhost:abc/0",
        f"redis://:{SECRET}@localhost:99999/0",
        f"redis://:{SECRET}@localhost:0/0",
        f"redis://:{SECRET}@localhost/first",
        f"redis://:{SECRET}@local host/0",
        f"redis://:{SECRET}@[::1/0",
        f" redis://:{SECRET}@localhost/0",
        f"redis://:{SECRET}@localhost/0\n",
        f"REDISS://:{SECRET}@localhost/0",
        f"unix:///tmp/{SECRET}.sock",
    ],
)
def test_a_malformed_redis_url_is_refused_without_showing_a_part_of_it(url: str) -> None:
    (fault,) = faults({**PRODUCER, "REDIS_URL": url})
    assert fault.startswith("REDIS_URL is not a URL of the form rediss://user:password@host:port/0")
    assert SECRET not in fault


@pytest.mark.parametrize(
    "tail", ["?ssl_cert_reqs=none", "?ssl_check_hostname=false", "?credential_provider=os.x", "#x"]
)
def test_a_redis_url_cannot_turn_tls_checks_off_behind_the_settings_back(tail: str) -> None:
    (fault,) = faults({**PRODUCER, "REDIS_URL": f"rediss://:{SECRET}@redis.example:6380/0{tail}"})
    assert "DTMF_REDIS_TLS" in fault
    assert SECRET not in fault


@pytest.mark.parametrize("host", ["redis.example", "10.0.0.1", "127.0.0.1.evil.com", "localhost.evil.com", "[fe80::1]"])
def test_redis_in_clear_to_another_machine_must_be_asked_for(host: str) -> None:
    url = f"redis://:{SECRET}@{host}:6379/0"
    (fault,) = faults({**PRODUCER, "REDIS_URL": url})
    assert "DTMF_REDIS_TLS=off" in fault
    assert SECRET not in fault
    assert load({**PRODUCER, "REDIS_URL": url, "DTMF_REDIS_TLS": "off"}).redis_tls == {}


def test_tls_to_redis_is_verified_unless_a_setting_says_otherwise() -> None:
    env = {**PRODUCER, "REDIS_URL": "rediss://:pw@redis.example:6380/0"}
    strict = {"ssl_cert_reqs": "required", "ssl_check_hostname": True}
    assert load(env).redis_tls == strict
    assert load({**env, "DTMF_REDIS_TLS": "no-verify"}).redis_tls == {
        "ssl_cert_reqs": "none",
        "ssl_check_hostname": False,
    }
    assert load(PRODUCER).redis_tls == {}


def test_allowing_redis_in_clear_does_not_stop_tls_from_being_verified() -> None:
    env = {**PRODUCER, "REDIS_URL": "rediss://:pw@redis.example:6380/0", "DTMF_REDIS_TLS": "off"}
    assert load(env).redis_tls == {"ssl_cert_reqs": "required", "ssl_check_hostname": True}


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://ccc.cn-shanghai.aliyuncs.com",
        "https://ccc.example:8443/",
        "http://127.0.0.1:8000",
        "http://127.44.0.9",
        "http://[::1]:8000",
        "http://localhost:8000/",
    ],
)
def test_an_endpoint_over_https_or_on_this_machine_is_taken(endpoint: str) -> None:
    assert load({**PRODUCER, "CCC_ENDPOINT": endpoint}).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1.evil.com",
        "http://localhost.evil.com",
        "http://ccc.cn-shanghai.aliyuncs.com",
        "http://10.0.0.1",
        "http://[fe80::1]",
        "http://127.1",
        "ftp://127.0.0.1",
        "file://localhost",
        "ccc.cn-shanghai.aliyuncs.com",
        "https://",
        f"https://user:{SECRET}@ccc.example",
        f"https://:{SECRET}@ccc.example",
        f"https://ccc.example/{SECRET}",
        f"https://ccc.example?{SECRET}",
        f"https://ccc.example#{SECRET}",
        f"https://a[{SECRET}]b",
        f"https://{SECRET}\u2100",
        "https://ccc.example:99999",
        "https://ccc .example",
        "https://ccc.example\n",
    ],
)
def test_any_other_endpoint_is_refused_without_showing_it(endpoint: str) -> None:
    (fault,) = faults({**PRODUCER, "CCC_ENDPOINT": endpoint})
    assert fault.startswith("CCC_ENDPOINT ")
    assert SECRET not in fault
    assert "evil" not in fault


def test_the_region_names_the_endpoint_unless_one_is_set() -> None:
    assert load(PRODUCER).endpoint == "https://ccc.cn-shanghai.aliyuncs.com"
    assert load({**PRODUCER, "CCC_REGION": "ap-southeast-1"}).endpoint == "https://ccc.ap-southeast-1.aliyuncs.com"
    both = {**PRODUCER, "CCC_REGION": "ap-southeast-1", "CCC_ENDPOINT": "https://ccc.example"}
    assert load(both).endpoint == "https://ccc.example"


@pytest.mark.parametrize("region", ["evil.com/", "a@b", "x" * 41, "A"])
def test_a_region_cannot_lead_to_another_host(region: str) -> None:
    (fault,) = faults({**PRODUCER, "CCC_REGION": region})
    assert fault.startswith("CCC_REGION is wrong: ")


@pytest.mark.parametrize("host", ["", "127.1", "0.0.0.0", "128.0.0.1", "::", "example.com", "127.0.0.1.evil.com"])  # noqa: S104
def test_only_loopback_is_this_machine(host: str) -> None:
    assert not is_this_machine(host)


@settings(deadline=None)
@given(st.binary(max_size=30).filter(lambda raw: b"\0" not in raw))
def test_a_url_with_a_password_of_any_bytes_is_not_shown(raw: bytes) -> None:
    password = SECRET + os.fsdecode(raw)
    assert SECRET not in told({**PRODUCER, "REDIS_URL": f"redis://:{password}@localhost/0"}, worker=False)
