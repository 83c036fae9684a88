"""What a request is signed with."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from worker.ccc.errors import BadCredentials


@dataclass(frozen=True)
class Credentials:
    """An AccessKey, with the security token of a temporary one; the repr shows neither secret nor token.

    Raises BadCredentials for an empty AccessKey, and for characters that no header can carry (a line break
    at the end of a copied secret).
    """

    access_key_id: str
    access_key_secret: str = field(repr=False)
    security_token: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        _check("AccessKey id", self.access_key_id)
        _check("AccessKey secret", self.access_key_secret)
        if self.security_token is not None:
            _check("security token", self.security_token)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 of the AccessKey id: tells AccessKeys apart without naming them."""
        return hashlib.sha256(self.access_key_id.encode()).hexdigest()[:16]


class CredentialsProvider(Protocol):
    """Where the credentials of the moment come from; asked before every attempt, from any thread."""

    def get(self) -> Credentials:
        """The credentials to sign with now."""
        ...


@dataclass(frozen=True)
class StaticCredentials:
    """A provider of credentials that never change."""

    credentials: Credentials

    def get(self) -> Credentials:
        """The same credentials every time."""
        return self.credentials


def _check(name: str, value: str) -> None:
    if not value or not value.isascii() or not value.isprintable():
        raise BadCredentials(
            f"The {name} is empty or holds a character that is not printable ASCII (a line break, a letter "
            "with an accent): copy it again from the vendor's console."
        )
