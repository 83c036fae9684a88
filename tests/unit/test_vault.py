"""The vault: nonces that every worker derives alike, and encryption that outlives a change of keys."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import Settings
from worker.errors import UnknownSecretKey
from worker.vault import Vault, channel_digest, decode_secret_key, new_secret_key

OLD, NEW = b"o" * 32, b"n" * 32
TASK_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,20}", fullmatch=True)
PLACES = st.tuples(TASK_IDS, st.integers(1, 50), st.integers(1, 10**6))


def nonce(vault: Vault, task: str = "task", digit: int = 1, number: int = 1) -> str:
    return vault.nonce(vault.kid, task, digit, number)


def test_a_nonce_has_128_bits_in_hex() -> None:
    text = nonce(Vault([OLD]))
    assert len(text) == 32
    assert len(bytes.fromhex(text)) == 16


def test_two_workers_derive_the_same_nonce_for_the_same_digit() -> None:
    assert nonce(Vault([OLD])) == nonce(Vault([OLD]))
    code = "from worker.vault import Vault; v = Vault([b'o' * 32]); print(v.kid, v.nonce(v.kid, 'task', 1, 1))"
    env = {**os.environ, "PYTHONHASHSEED": "77"}
    command = [sys.executable, "-c", code]
    out = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert out.stdout.split() == [Vault([OLD]).kid, nonce(Vault([OLD]))]


def test_the_derivation_does_not_change_from_one_release_to_the_next() -> None:
    # During a rolling update, workers of both releases send copies under one nonce.
    assert nonce(Vault([OLD])) == "9d97399115bf645a42f0da05886b761b"


@given(PLACES, PLACES)
def test_no_two_numbers_make_the_same_nonce(one: tuple[str, int, int], other: tuple[str, int, int]) -> None:
    vault = Vault([OLD])
    assert (nonce(vault, *one) == nonce(vault, *other)) == (one == other)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_digits_that_move_between_the_parts_make_another_nonce(task: int, digit: int, number: int) -> None:
    vault = Vault([OLD])
    assert nonce(vault, f"{task}1", digit, number) != nonce(vault, f"{task}", int(f"1{digit}"), number)


def test_a_nonce_depends_on_the_secret_key_and_so_does_its_fingerprint() -> None:
    assert nonce(Vault([OLD])) != nonce(Vault([NEW]))
    assert Vault([OLD]).kid != Vault([NEW]).kid


def test_the_first_key_is_used_and_all_are_understood() -> None:
    before, during, after = Vault([OLD]), Vault([NEW, OLD]), Vault([NEW])
    assert during.kid == after.kid != before.kid
    assert during.nonce(before.kid, "task", 1, 1) == nonce(before)
    assert during.decrypt(before.encrypt("4711", "task"), "task") == "4711"
    assert after.decrypt(during.encrypt("4711", "task"), "task") == "4711"
    assert during.knows(before.kid)
    assert during.knows(after.kid)


def test_a_key_that_was_taken_out_is_named_by_its_fingerprint() -> None:
    gone = Vault([OLD])
    vault = Vault([NEW])
    assert not vault.knows(gone.kid)
    with pytest.raises(UnknownSecretKey, match=gone.kid):
        vault.nonce(gone.kid, "task", 1, 1)
    with pytest.raises(UnknownSecretKey, match="DTMF_SECRET_KEYS") as caught:
        vault.decrypt(gone.encrypt("4711", "task"), "task")
    assert caught.value.__context__ is None


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_what_was_encrypted_comes_back_and_cannot_be_read_meanwhile(text: str) -> None:
    vault = Vault([NEW, OLD])
    token = vault.encrypt(text, "task")
    assert vault.decrypt(token, "task") == text
    assert token.isascii()
    assert len(text) < 8 or text not in token
    assert vault.encrypt(text, "task") != token


@given(st.integers(0, 10**6), st.sampled_from("AZaz09-_"))
def test_a_token_that_was_tampered_with_is_refused(place: int, other: str) -> None:
    vault = Vault([OLD])
    token = vault.encrypt("4711", "task")
    place %= len(token.rstrip("=")) - 1  # the last character has bits that base64 does not use
    changed = token[:place] + other + token[place + 1 :]
    if changed == token:
        return
    with pytest.raises(UnknownSecretKey):
        vault.decrypt(changed, "task")


def test_what_was_encrypted_for_one_task_is_not_read_for_another() -> None:
    vault = Vault([OLD])
    with pytest.raises(UnknownSecretKey, match="task-2 belongs to another task"):
        vault.decrypt(vault.encrypt("4711", "task-1"), "task-2")


@given(st.text(max_size=50))
def test_whatever_stands_where_a_token_should_the_only_error_is_ours(token: str) -> None:
    with pytest.raises(UnknownSecretKey):
        Vault([OLD]).decrypt(token, "task")


def test_a_vault_shows_no_key() -> None:
    vault = Vault([b"geheim" * 6, OLD])
    for text in (repr(vault), str(vault)):
        assert "geheim" not in text
        assert "oooo" not in text


def test_a_vault_needs_a_key() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Vault([])


def test_a_new_secret_key_is_taken_by_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [new_secret_key() for _ in range(20)]
    assert len(set(keys)) == 20
    assert all(len(decode_secret_key(key)) == 32 for key in keys)
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.setenv("DTMF_SECRET_KEYS", ",".join(keys))
    assert Settings.load(worker=False).secret_keys == [decode_secret_key(key) for key in keys]


@pytest.mark.parametrize("text", ["", "AAAA", "=" * 44, "x" * 42, "é" * 43, "a b" * 20, "\ud800" * 43])
def test_what_is_no_key_of_256_bits_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ValueError, match="dtmf secret") as caught:
        decode_secret_key(text)
    assert not text or text not in str(caught.value)


def test_a_channel_has_one_name_of_128_bits_that_tells_nothing() -> None:
    channel = "ch:customer:01089898989->13188888888:1609234221870:job-65735740600893440"
    digest = channel_digest(channel)
    assert len(bytes.fromhex(digest)) == 16
    assert digest == channel_digest(channel) != channel_digest(channel + "1")
    assert "1318" not in digest
