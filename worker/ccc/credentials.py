"""What a request is signed with, and where it comes from."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from worker.ccc.errors import BadCredentials

_SHOWN = 4


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

    @property
    def masked_id(self) -> str:
        """The AccessKey id with its middle left out, for people to recognise."""
        shown = self.access_key_id if len(self.access_key_id) > 4 * _SHOWN else ""
        return f"{shown[:_SHOWN]}****{shown[-_SHOWN:]}"


@dataclass(frozen=True, slots=True)
class CredentialsState:
    """How a provider's credentials stand, for people; holds no secret.

    Attributes:
        source: where they come from, by the name of the settings.
        masked_id: the AccessKey id with its middle left out; None while there is none.
        seconds_left: how long they are valid; None for those that do not expire, or while there are none.
        problem: why the source gave none when it was asked last; None if it did.
    """

    source: str
    masked_id: str | None
    seconds_left: float | None
    problem: str | None


class CredentialsProvider(Protocol):
    """Where the credentials of the moment come from.

    get() and describe() may be called from any thread, at any time after start().
    """

    def get(self) -> Credentials:
        """The credentials to sign with now. Cheap: it looks at the clock, and never waits or asks anybody.

        Asked before an attempt is marked. Raises NoCredentials while there are none that will last for a
        request: then nothing may be marked or sent. It is no outcome of a digit, and no fault of the task:
        leave the channel as it is, and ask again after a pause (1 s is soon enough); the provider goes on
        asking its source by itself, and a task's deadline goes on counting.
        """
        ...

    def describe(self) -> CredentialsState:
        """Where the credentials come from and how long they are valid, as known now."""
        ...

    def refresh(self) -> None:
        """Ask the source now, in the calling thread, which may take half a minute; for commands.

        Raises NoCredentials, saying why.
        """
        ...

    def start(self) -> None:
        """Begin to keep credentials fresh; waits some seconds for the first ones, and goes on without them."""
        ...

    def stop(self) -> None:
        """Ask the source no more. What it gave stays in use until it expires."""
        ...


@dataclass(frozen=True)
class StaticCredentials:
    """A provider of credentials that never change."""

    credentials: Credentials
    source: str = "ALIBABA_CLOUD_ACCESS_KEY_ID"

    def get(self) -> Credentials:
        """The same credentials every time."""
        return self.credentials

    def describe(self) -> CredentialsState:
        """Their source and AccessKey id."""
        return CredentialsState(self.source, self.credentials.masked_id, None, None)

    def refresh(self) -> None:
        """Nothing to ask."""

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self) -> None:
        """Nothing to end."""


def _check(name: str, value: str) -> None:
    if not value or not value.isascii() or not value.isprintable():
        raise BadCredentials(
            f"The {name} is empty or holds a character that is not printable ASCII (a line break, a letter "
            "with an accent): copy it again from the vendor's console."
        )
