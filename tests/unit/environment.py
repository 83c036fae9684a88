"""What the tests of settings share: environments, and what is said of them."""

from collections.abc import Mapping

import pytest

from config.settings import Settings, SettingsError

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
    """What is wrong with this environment; something must be."""
    with pytest.raises(SettingsError) as caught:
        load(env, worker=worker, flower=flower)
    return caught.value.faults


def told(env: Mapping[str, str], *, worker: bool) -> str:
    """The message under this environment; empty if it is taken."""
    try:
        load(env, worker=worker, flower=True)
    except SettingsError as error:
        return str(error)
    return ""
