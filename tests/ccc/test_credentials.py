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


def test_static_credentials_tell_their_source_and_never_expire() -> None:
    provider: CredentialsProvider = StaticCredentials(TEMPORARY)
    provider.start()
    provider.refresh()
    state = provider.describe()
    provider.stop()
    assert (state.source, state.masked_id) == ("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI****eyId")
    assert (state.seconds_left, state.problem) == (None, None)


@pytest.mark.parametrize(("access_key_id", "shown"), [("LTAI5tExampleExample", "LTAI****mple"), ("LTAI-short", "****")])
def test_an_access_key_id_is_shown_masked(access_key_id: str, shown: str) -> None:
    assert Credentials(access_key_id, "secret").masked_id == shown
