"""Whatever stands in the environment: settings, or one error that names faults and shows no secret."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.settings import Settings
from worker.errors import DtmfError
from worker.vault import new_secret_key

# What an environment variable can hold.
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80)
likely = st.sampled_from(
    [
        "",
        " ",
        "0",
        "-1",
        "1e9",
        "9" * 400,
        "nan",
        "on",
        "redis://",
        "rediss://:pass-word-9@h:x/0",
        "http://u:pass-word-9@h",
        "{}",
        "\n",
    ]
)
SECRETS = (
    "REDIS_URL",
    "DTMF_SECRET_KEYS",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
    "SENTRY_DSN",
)
names = st.sampled_from(sorted(Settings.model_fields))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_=st.dictionaries(names, texts | likely, min_size=1, max_size=6), worker=st.booleans())
def test_rubbish_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch, given_: dict[str, str], worker: bool) -> None:
    environment: dict[str, Any] = {"REDIS_URL": "redis://127.0.0.1/0", "DTMF_SECRET_KEYS": new_secret_key(), **given_}
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    error = fault(worker=worker)
    if error is None:
        return
    text = str(error)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert any(name in text for name in Settings.model_fields)
    assert "pass-word-9" not in text
    for name in SECRETS:
        value = environment.get(name, "")
        assert len(value) < 12 or value not in text


def fault(*, worker: bool) -> DtmfError | None:
    """What is wrong with the environment, if anything."""
    try:
        Settings.load(worker=worker)
    except DtmfError as error:
        return error
    return None
