"""Settings: what a deployer sees who left one out or got one wrong, and what nobody may see."""

import os
import string
from collections.abc import Mapping

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.celery import celery_config
from config.faults import CREDENTIALS, WORKER_NEEDS, is_this_machine
from config.settings import Settings, SettingsError
from worker.credentials import provider_of
from worker.errors import DtmfError
from worker.vault import new_secret_key

SECRET = "geheim-hunter2"
KEY = "Mh5sTFeCz7YMMjWDNoUIqdGRDzw2sPekpvyOl8tdhJg"
PRODUCER = {"REDIS_URL": "redis://127.0.0.1:6379/0", "DTMF_SECRET_KEYS": KEY}
WORKER = {
    **PRODUCER,
    "CCC_INSTANCE_ID": "ccc-test",
    "CCC_USER_ID": "user-test@ccc-test",
    "CCC_DEVICE_ID": "device-test",
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI-test",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": SECRET,
}
NAMES = tuple(Settings.model_fields)


def load(env: Mapping[str, str], *, worker: bool = False, flower: bool = False) -> Settings:
    """Settings under this environment and no other."""
    with pytest.MonkeyPatch.context() as patch:
        for name in NAMES:
            patch.delenv(name, raising=False)
        for name, value in env.items():
            patch.setenv(name, value)
        return Settings.load(worker=worker, flower=flower)


def faults(env: Mapping[str, str], *, worker: bool = False, flower: bool = False) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(env, worker=worker, flower=flower)
    return caught.value.faults


def test_a_producer_needs_the_redis_url_and_the_secret_keys_alone() -> None:
    assert load(PRODUCER).secret_keys
    assert faults({}) == ["REDIS_URL is missing", "DTMF_SECRET_KEYS is missing"]


def test_a_worker_is_told_all_that_it_lacks_in_one_message() -> None:
    assert load(WORKER, worker=True).CCC_USER_ID == "user-test@ccc-test"
    assert faults({}, worker=True) == [
        "REDIS_URL is missing",
        "DTMF_SECRET_KEYS is missing",
        *(f"{name} is missing; a worker needs it" for name in WORKER_NEEDS),
        (
            "there are no credentials; a worker needs one of: an AccessKey (ALIBABA_CLOUD_ACCESS_KEY_ID, "
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET); the role of a Kubernetes service account (ALIBABA_CLOUD_ROLE_ARN, "
            "ALIBABA_CLOUD_OIDC_PROVIDER_ARN, ALIBABA_CLOUD_OIDC_TOKEN_FILE); the role of the machine "
            "(ALIBABA_CLOUD_ECS_METADATA)"
        ),
    ]


@pytest.mark.parametrize("name", WORKER_NEEDS)
def test_each_setting_that_only_a_worker_needs_is_asked_for_by_name(name: str) -> None:
    env = {key: value for key, value in WORKER.items() if key != name}
    assert load(env)
    assert faults(env, worker=True) == [f"{name} is missing; a worker needs it"]


ACCESS_KEY = {name: WORKER[name] for name in CREDENTIALS["an AccessKey"]}
SERVICE_ACCOUNT = dict.fromkeys(CREDENTIALS["the role of a Kubernetes service account"], "given")
MACHINE = {"ALIBABA_CLOUD_ECS_METADATA": "dtmf-role"}
NO_KEY = {name: value for name, value in WORKER.items() if name not in ACCESS_KEY}


@pytest.mark.parametrize("given", [ACCESS_KEY, SERVICE_ACCOUNT, MACHINE, ACCESS_KEY | SERVICE_ACCOUNT | MACHINE])
def test_a_worker_takes_any_kind_of_credentials(given: dict[str, str]) -> None:
    assert load({**NO_KEY, **given}, worker=True)


@pytest.mark.parametrize("whole", [ACCESS_KEY, SERVICE_ACCOUNT], ids=["AccessKey", "service account"])
@pytest.mark.parametrize("others", [{}, MACHINE], ids=["alone", "beside others"])
def test_credentials_that_are_half_given_are_named(whole: dict[str, str], others: dict[str, str]) -> None:
    for name in whole:
        half = {key: value for key, value in whole.items() if key != name}
        assert faults({**NO_KEY, **half, **others}, worker=True) == [
            f"{name} is missing; it goes with {' and '.join(half)}"
        ]
        assert load({**PRODUCER, **half, **others}), "a producer has no use for them"


@pytest.mark.parametrize("role", ["a/b", "../secret", "a role", "r" * 65, "a\n"])
def test_a_machines_role_is_a_name_and_no_path(role: str) -> None:
    (fault,) = faults({**NO_KEY, "ALIBABA_CLOUD_ECS_METADATA": role}, worker=True)
    assert fault.startswith("ALIBABA_CLOUD_ECS_METADATA is wrong: ")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
def test_a_proxy_never_gets_to_see_the_machines_credentials(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.setenv(name, f"http://proxy:{SECRET}@proxy.example")
    (fault,) = faults({**NO_KEY, **MACHINE}, worker=True)
    assert fault.startswith(f"{name} would get the request for the machine's credentials")
    assert SECRET not in fault
    for others in (ACCESS_KEY, SERVICE_ACCOUNT):
        assert load({**NO_KEY, **MACHINE, **others}, worker=True)


def test_a_metadata_service_that_is_switched_off_is_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "True")
    (fault,) = faults({**NO_KEY, **MACHINE}, worker=True)
    assert fault.startswith("ALIBABA_CLOUD_ECS_METADATA_DISABLED forbids")


def test_the_first_source_that_is_set_is_used() -> None:
    def source(given: dict[str, str]) -> str:
        return provider_of(load({**NO_KEY, **given}, worker=True)).describe().source

    assert source(ACCESS_KEY | SERVICE_ACCOUNT | MACHINE) == "ALIBABA_CLOUD_ACCESS_KEY_ID"
    assert "ALIBABA_CLOUD_ROLE_ARN" in source(SERVICE_ACCOUNT | MACHINE)
    assert "ALIBABA_CLOUD_ECS_METADATA" in source(MACHINE)
    temporary = provider_of(load({**WORKER, "ALIBABA_CLOUD_SECURITY_TOKEN": "token"}, worker=True)).get()
    assert (temporary.access_key_secret, temporary.security_token) == (SECRET, "token")


@pytest.mark.parametrize("name", WORKER)
def test_an_empty_variable_is_an_absent_one(name: str) -> None:
    (fault,) = faults({**WORKER, name: ""}, worker=True)
    assert fault.startswith(f"{name} is missing")


def test_an_empty_variable_leaves_the_default() -> None:
    assert load({**PRODUCER, "DTMF_LEASE_MS": "", "CCC_REGION": ""}) == load(PRODUCER)


def test_faults_of_fields_and_faults_between_fields_are_in_one_message() -> None:
    env = {
        "REDIS_URL": "http://x",
        "DTMF_SECRET_KEYS": f"{KEY},short",
        "DTMF_CONCURRENCY": "many",
        "DTMF_REDIS_TLS": "maybe",
        "DTMF_REDIS_ALLOW_VOLATILE": "perhaps",
        "CCC_ENDPOINT": "http://example.com",
        "CCC_SIGNATURE": "v2",
        "CCC_REGION": "Mars!",
        "DTMF_BEAT_MS": "500",
        "DTMF_HOLD_MS": "40000",
        "DTMF_CHANNEL_LIMIT": "10",
        "DTMF_SYSTEM_LIMIT": "5",
        "DTMF_READ_TIMEOUT_MS": "7000",
        "ALIBABA_CLOUD_SECURITY_TOKEN": SECRET,
    }
    with pytest.raises(SettingsError) as caught:
        load(env, worker=True)
    text = str(caught.value)
    for name in (*env, *WORKER_NEEDS):
        assert name in text
    assert len(caught.value.faults) == len(set(caught.value.faults))
    assert caught.value.format_message() == text


def test_a_fault_is_shown_as_a_message_of_the_command_line_and_caught_as_an_error_of_ours() -> None:
    assert issubclass(SettingsError, DtmfError)
    assert issubclass(SettingsError, click.ClickException)


def test_a_missing_setting_and_a_wrong_one_read_differently() -> None:
    assert faults({**PRODUCER, "DTMF_LEASE_MS": "soon"}) == [
        "DTMF_LEASE_MS is wrong: input should be a valid integer, unable to parse string as an integer"
    ]


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"DTMF_LEASE_MS": "899", "DTMF_SWEEP_MS": "200"}, "DTMF_LEASE_MS must be at least three times DTMF_BEAT_MS"),
        ({"DTMF_SWEEP_MS": "1201"}, "DTMF_SWEEP_MS must not be longer than DTMF_LEASE_MS"),
        ({"DTMF_CONNECT_TIMEOUT_MS": "6001"}, "DTMF_CONNECT_TIMEOUT_MS must not be longer than DTMF_TOTAL_TIMEOUT_MS"),
        ({"DTMF_READ_TIMEOUT_MS": "6001"}, "DTMF_READ_TIMEOUT_MS must not be longer than DTMF_TOTAL_TIMEOUT_MS"),
        ({"DTMF_HOLD_MS": "30001"}, "DTMF_HOLD_MS must not be longer than DTMF_BREAK_MS"),
        ({"DTMF_SYSTEM_LIMIT": "999"}, "DTMF_CHANNEL_LIMIT must not be more than DTMF_SYSTEM_LIMIT"),
        ({"ALIBABA_CLOUD_SECURITY_TOKEN": SECRET}, "ALIBABA_CLOUD_SECURITY_TOKEN goes with an"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_together(env: dict[str, str], named: str) -> None:
    (fault,) = faults({**PRODUCER, **env})
    assert fault.startswith(named)


@pytest.mark.parametrize(
    "env",
    [
        {"DTMF_LEASE_MS": "900"},
        {"DTMF_SWEEP_MS": "1200"},
        {"DTMF_CONNECT_TIMEOUT_MS": "6000", "DTMF_READ_TIMEOUT_MS": "6000"},
        {"DTMF_HOLD_MS": "30000"},
        {"DTMF_SYSTEM_LIMIT": "1000"},
        {"ALIBABA_CLOUD_SECURITY_TOKEN": SECRET, "ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAI"},
    ],
)
def test_settings_that_just_fit_together_are_taken(env: dict[str, str]) -> None:
    assert load({**PRODUCER, **env})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DTMF_CONCURRENCY", "0"),
        ("DTMF_CONCURRENCY", "1001"),
        ("DTMF_DEADLINE_MS", "0"),
        ("DTMF_DEADLINE_MS", "86400001"),
        ("DTMF_GAP_MS", "-1"),
        ("DTMF_TOTAL_TIMEOUT_MS", "10001"),
        ("DTMF_RECORD_MS", "59999"),
        ("DTMF_RATE_PER_SECOND", "nan"),
        ("DTMF_RATE_PER_SECOND", "inf"),
        ("DTMF_RATE_PER_SECOND", "-0.5"),
        ("DTMF_LEASE_MS", "1200.5"),
        ("DTMF_REDIS_TLS", "NO-VERIFY"),
    ],
)
def test_a_number_out_of_its_range_or_a_word_not_in_the_list_is_refused_by_name(name: str, value: str) -> None:
    fault = faults({**PRODUCER, name: value})[0]
    assert fault.startswith(f"{name} is wrong: ")


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


@pytest.mark.parametrize("keys", ["short", f"{KEY},", f",{KEY}", f"{KEY},{KEY[:-2]}", f"{KEY}é", KEY + "*" * 4])
def test_a_secret_key_that_is_none_is_refused_by_its_place_and_not_shown(keys: str) -> None:
    (fault,) = faults({**PRODUCER, "DTMF_SECRET_KEYS": keys})
    assert fault.startswith("DTMF_SECRET_KEYS number ")
    assert KEY[:12] not in fault


def test_secret_keys_may_have_spaces_around_them_and_keep_their_order() -> None:
    other = new_secret_key()
    both = load({**PRODUCER, "DTMF_SECRET_KEYS": f" {KEY} , {other} "}).secret_keys
    assert both == [*load(PRODUCER).secret_keys, *load({**PRODUCER, "DTMF_SECRET_KEYS": other}).secret_keys]


def test_no_secret_is_in_the_text_of_the_settings() -> None:
    env = {**WORKER, "REDIS_URL": f"rediss://crm:{SECRET}@redis.example/0", "ALIBABA_CLOUD_SECURITY_TOKEN": SECRET}
    loaded = load(env, worker=True)
    for text in (repr(loaded), str(loaded), loaded.model_dump_json(), repr(loaded.model_dump())):
        assert SECRET not in text
        assert KEY not in text


def test_an_error_chains_nothing_that_could_hold_a_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        load({"REDIS_URL": f"redis://:a[{SECRET}]b@x", "DTMF_SECRET_KEYS": SECRET})
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert SECRET not in repr(caught.value)


def test_settings_cannot_be_changed_after_the_start() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(load(PRODUCER), "DTMF_LEASE_MS", 1)  # noqa: B010 - mypy knows that it is read-only


def test_every_setting_says_what_it_is_for() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_celery_is_told_to_verify_tls_as_redis_py_is() -> None:
    config = celery_config(load({**PRODUCER, "REDIS_URL": "rediss://redis.example/0"}))
    assert config["broker_use_ssl"] == config["redis_backend_use_ssl"]
    assert config["broker_use_ssl"]["ssl_cert_reqs"] == "required"
    assert celery_config(load(PRODUCER))["broker_use_ssl"] is None


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
RUBBISH = TEXT | st.text(string.digits + ".-:/@?#[]%eE,_ ", max_size=30) | st.integers().map(str) | st.floats().map(str)


def told(env: Mapping[str, str], *, worker: bool) -> str:
    """The message under this environment; empty if it is taken."""
    try:
        load(env, worker=worker, flower=True)
    except SettingsError as error:
        return str(error)
    return ""


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NAMES), RUBBISH, max_size=8), st.booleans())
def test_whatever_stands_in_the_environment_the_only_error_is_a_settings_error(
    env: dict[str, str], worker: bool
) -> None:
    assert SECRET not in told({**WORKER, **env}, worker=worker)


@settings(deadline=None)
@given(st.binary(max_size=30).filter(lambda raw: b"\0" not in raw))
def test_a_url_with_a_password_of_any_bytes_is_not_shown(raw: bytes) -> None:
    password = SECRET + os.fsdecode(raw)
    assert SECRET not in told({**PRODUCER, "REDIS_URL": f"redis://:{password}@localhost/0"}, worker=False)


@pytest.mark.parametrize(
    ("dsn", "said"),
    [
        ("sentry.example/1", "is not of the form https://key@host/project"),
        ("https://sentry.example/1", "is not of the form https://key@host/project"),
        (f"https://{SECRET}@sentry.example/{SECRET}", "is not of the form https://key@host/project"),
        (f"https://{SECRET}@sentry.example:port/1", "is not of the form https://key@host/project"),
        ("http://key@sentry.example/1", "must begin with https://"),
    ],
)
def test_a_worker_checks_where_faults_are_reported(dsn: str, said: str) -> None:
    (fault,) = faults(WORKER | {"SENTRY_DSN": dsn}, worker=True)
    assert fault.startswith(f"SENTRY_DSN {said}")
    assert SECRET not in fault


def test_a_producers_sentry_is_its_own_affair() -> None:
    assert load(PRODUCER | {"SENTRY_DSN": "http://key@sentry.internal/1"}).SENTRY_DSN
    assert load(WORKER | {"SENTRY_DSN": "http://key@127.0.0.1:9000/1"}, worker=True).SENTRY_DSN


PASSWORD = "correct-horse-battery"
GUARDED = {**PRODUCER, "DTMF_FLOWER_PASSWORD": PASSWORD}


def test_flower_needs_a_password_and_nothing_of_the_api() -> None:
    assert load(GUARDED, flower=True)
    assert faults({}, flower=True) == [
        "REDIS_URL is missing",
        "DTMF_SECRET_KEYS is missing",
        "DTMF_FLOWER_PASSWORD is missing; Flower does not start without one",
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"DTMF_FLOWER_PASSWORD": SECRET[:11]}, "DTMF_FLOWER_PASSWORD is too short"),
        ({"DTMF_FLOWER_PASSWORD": f"{SECRET}-\xe4"}, "DTMF_FLOWER_PASSWORD has a character"),
        ({"DTMF_FLOWER_USER": "a:b"}, "DTMF_FLOWER_USER has a character"),
        ({"DTMF_FLOWER_WRITABLE": "perhaps"}, "DTMF_FLOWER_WRITABLE is wrong"),
        *(({"PORT": port}, "PORT is not a port") for port in ("http", "0", "65536", "-1", "9" * 5000, "\u0663")),
    ],
)
def test_flower_is_told_what_is_wrong(wrong: dict[str, str], said: str) -> None:
    (fault,) = faults({**GUARDED, **wrong}, flower=True)
    assert fault.startswith(said)
    assert SECRET[:11] not in fault


def test_a_port_that_others_mean_does_not_disturb_a_producer_or_a_worker() -> None:
    """Kubernetes and Docker set such a PORT for a service of that name."""
    assert load({**WORKER, "PORT": "tcp://10.0.0.1:80"}, worker=True)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({}, "127.0.0.1"),
        ({"PORT": "5000"}, ""),
        ({"DTMF_FLOWER_ADDRESS": "10.0.0.7"}, "10.0.0.7"),
        ({"DTMF_FLOWER_ADDRESS": "127.0.0.1", "PORT": "5000"}, "127.0.0.1"),
    ],
)
def test_flower_listens_to_the_world_only_where_it_was_asked_to(given: dict[str, str], address: str) -> None:
    assert load({**GUARDED, **given}, flower=True).flower_address == address
