"""What the secret keys are for: nonces, encryption, and the digests that stand in for personal data.

Every key of DTMF_SECRET_KEYS yields, by HKDF-SHA256, one key for nonces (HMAC-SHA256) and one for encryption
(Fernet). The first key is used; all are understood, so that a new key can be brought in without a stop.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from worker.errors import UnknownSecretKey

SECRET_KEY_BYTES = 32


def new_secret_key() -> str:
    """A fresh secret key of 256 random bits, in the form that DTMF_SECRET_KEYS takes (base64, URL-safe)."""
    return base64.urlsafe_b64encode(secrets.token_bytes(SECRET_KEY_BYTES)).decode().rstrip("=")


def decode_secret_key(text: str) -> bytes:
    """The bytes of a secret key as `dtmf secret` prints it.

    Raises:
        ValueError: if it is not URL-safe base64 of 32 bytes or more.
    """
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < SECRET_KEY_BYTES:
        raise ValueError("is not a secret key of 32 bytes in URL-safe base64; make one with `dtmf secret`")
    return key


def channel_digest(channel_id: str) -> str:
    """The name of a channel in keys, messages and logs: 128 bits of SHA-256, in hex.

    The instance id is not part of it: a producer may leave it to the worker's settings, and the same channel
    must have one name whoever enqueues. A channel id holds its call's id and time, so it is unique by itself.
    """
    return hashlib.sha256(channel_id.encode()).hexdigest()[:32]


class Vault:
    """Nonces and encryption under a deployment's secret keys."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Take the decoded secret keys, the one in use first."""
        if not keys:
            raise ValueError("at least one secret key is needed")
        self._nonce_keys = {_derive(key, "kid").hex()[:8]: _derive(key, "nonce") for key in keys}
        self.kids = list(self._nonce_keys)
        self.kid = self.kids[0]
        self._fernet = MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(key, "encrypt"))) for key in keys])

    def knows(self, kid: str) -> bool:
        """Whether nonces of the secret key with this fingerprint can be derived."""
        return kid in self._nonce_keys

    def nonce(self, kid: str, task: str, digit: int, number: int) -> str:
        """A nonce of a digit by its number, 128 bits in hex: the same for every worker that ever sends it.

        Raises:
            UnknownSecretKey: if the key of that fingerprint is not among the secret keys.
        """
        key = self._nonce_keys.get(kid)
        if key is None:
            raise UnknownSecretKey(f"the secret key {kid} is not in DTMF_SECRET_KEYS; add it at the end")
        # A task id holds no slash, so no two nonces share a text.
        return hmac.new(key, f"{task}/{digit}/{number}".encode(), hashlib.sha256).hexdigest()[:32]

    def encrypt(self, text: str, owner: str) -> str:
        """Text as it may stand in Redis. owner: id of the task that it belongs to, without a line break."""
        return self._fernet.encrypt(f"{owner}\n{text}".encode()).decode()

    def decrypt(self, token: str, owner: str) -> str:
        """What encrypt was given.

        Raises:
            UnknownSecretKey: if none of the secret keys fits, or the token was changed, or belongs to another task.
        """
        try:
            written_for, _, text = self._fernet.decrypt(token).decode().partition("\n")
        except (InvalidToken, ValueError):  # a token that is not ASCII is a ValueError
            pass
        else:
            # Who can write to Redis must not be able to have one task's keys pressed for another.
            if written_for == owner:
                return text
            raise UnknownSecretKey(f"what stands encrypted at task {owner} belongs to another task")
        raise UnknownSecretKey("no key in DTMF_SECRET_KEYS decrypts this; was a key removed too early?")


def _derive(key: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=f"ccc-dtmf-worker {purpose}".encode()).derive(key)
