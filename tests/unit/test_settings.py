"""Settings: what a deployer sees who left one out or got one wrong, and what nobody may see."""

import string

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.celery import celery_config
from config.faults import CREDENTIALS, WORKER_NEEDS
from config.settings import Settings, SettingsError
from tests.unit.environment import KEY, NAMES, PRODUCER, SECRET, WORKER, faults, load, told
from worker.credentials import provider_of
from worker.errors import DtmfError
from worker.vault import new_secret_key


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


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(NAMES), RUBBISH, max_size=8), st.booleans())
def test_whatever_stands_in_the_environment_the_only_error_is_a_settings_error(
    env: dict[str, str], worker: bool
) -> None:
    assert SECRET not in told({**WORKER, **env}, worker=worker)
