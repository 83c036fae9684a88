"""Settings of Sentry and Flower."""

import pytest

from tests.unit.environment import PRODUCER, SECRET, WORKER, faults, load

PASSWORD = "correct-horse-battery"
GUARDED = {**PRODUCER, "DTMF_FLOWER_PASSWORD": PASSWORD}


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
