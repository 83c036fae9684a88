"""Credentials: what can be one, and what they show."""

import hashlib

import pytest

from tests.ccc.presses import CREDENTIALS, TEMPORARY
from worker.ccc.credentials import Credentials, CredentialsProvider, StaticCredentials
from worker.ccc.errors import BadCredentials


@pytest.mark.parametrize("bad", ["", "a\n", "\ttoken", "geheim\u00e9"])
def test_credentials_that_no_header_can_carry_are_refused(bad: str) -> None:
    for values in ((bad, "s", None), ("i", bad, None), ("i", "s", bad)):
        with pytest.raises(BadCredentials):
            Credentials(*values)


def test_credentials_show_no_secret() -> None:
    assert TEMPORARY.security_token is not None
    assert TEMPORARY.access_key_secret not in repr(TEMPORARY)
    assert TEMPORARY.security_token not in repr(TEMPORARY)


def test_the_fingerprint_tells_access_keys_apart() -> None:
    expected = hashlib.sha256(b"LTAItestAccessKeyId").hexdigest()[:16]
    assert CREDENTIALS.fingerprint == TEMPORARY.fingerprint == expected
    assert Credentials("another", "secret").fingerprint != expected


def test_static_credentials_are_a_provider() -> None:
    provider: CredentialsProvider = StaticCredentials(CREDENTIALS)
    assert provider.get() is CREDENTIALS
