"""What a check looks at, and what it finds."""

from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

from config.settings import Settings
from worker.cli.connection import client_of

if TYPE_CHECKING:
    from redis import Redis


class Level(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's; it holds no secret and no personal data.

    Attributes:
        check: what was looked at.
        level: how it came out.
        text: what was seen.
        do: what to do about it.
        data: the same for programs.
    """

    check: str
    level: Level
    text: str
    do: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass
class Patient:
    """The system as it is seen from here; what one check learned, later ones use.

    Attributes:
        settings: with other values in place of the wrong ones.
        faults: what is wrong with the settings.
        wrong: the names of settings in whose place another value stands.
        out_of_reach: what later checks cannot build on (redis, writes, api), and why.
        redis_ahead_s: by how much Redis's clock is ahead of this machine's; None if not known.
        api_ahead_s: the same of the API's clock, to a second.
    """

    settings: Settings
    faults: list[str]
    wrong: set[str]
    out_of_reach: dict[str, str] = field(default_factory=dict)
    redis_ahead_s: float | None = None
    api_ahead_s: float | None = None

    @cached_property
    def client(self) -> Any:
        """A client of Redis."""
        client: Redis = client_of(self.settings)
        return client

    @cached_property
    def info(self) -> dict[str, Any]:
        """What the server tells of itself."""
        return dict(self.client.info())
