"""Temporary credentials, kept fresh by a thread of their own.

Who signs never waits: it takes what is held. One thread asks the source, well ahead of expiry and one request
at a time, and what is held stays in use while it is valid, whatever the source says meanwhile.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from worker.ccc.credentials import Credentials, CredentialsState
from worker.ccc.errors import NoCredentials

log = logging.getLogger(__name__)

# Credentials that are taken up now sign requests that may be on their way for so long (DTMF_TOTAL_TIMEOUT_MS).
_MARGIN_S = 10.0
# A key that was replaced at its source before it expires is taken up after so long at the latest.
_LONGEST_KEPT_S = 3600.0
_LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Temporary:
    """Credentials and the moment, in seconds since 1970, at which they expire."""

    credentials: Credentials
    expires_at: float


class Source(Protocol):
    """What gives temporary credentials."""

    @property
    def name(self) -> str:
        """What it is, by the name of its settings."""
        ...

    def fetch(self) -> Temporary:
        """Ask for credentials, which may take half a minute; raises NoCredentials, saying why."""
        ...


@dataclass(frozen=True, slots=True)
class _Held:
    credentials: Credentials
    usable_until: float
    expires_at: float
    refresh_at: float


class RefreshingCredentials:
    """A provider (see CredentialsProvider) of a source's credentials.

    They are asked for again when between half and three quarters of their time is over, by chance, so that a
    fleet that was started in one moment does not ask in one moment. After a failure it is tried again within
    30 seconds, for ever. Expiry is a moment of the world, so it is the wall clock that counts here.
    """

    def __init__(
        self,
        source: Source,
        *,
        first_wait: float = 5.0,
        look_every: float = 1.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Times in seconds. first_wait: how long start waits at the most; look_every: between looks at the clock."""
        self._source = source
        self._first_wait = first_wait
        self._look_every = look_every
        self._now = now
        self._held: _Held | None = None
        self._problem: str | None = "they have not been asked for yet"
        self._one_at_a_time = threading.Lock()
        self._tried = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="credentials", daemon=True)

    def get(self) -> Credentials:
        """What is held, if it will last for a request; raises NoCredentials."""
        held = self._held
        if held is not None and self._now() < held.usable_until:
            return held.credentials
        problem = self._problem or "the last ones have expired by this machine's clock, and are being replaced"
        raise NoCredentials(
            f"There are no credentials to sign with, so nothing is sent. Source: {self._source.name}; {problem}."
        )

    def describe(self) -> CredentialsState:
        """The source, the AccessKey id, how long it is valid, and what the source said last."""
        held = self._held
        if held is None:
            return CredentialsState(self._source.name, None, None, self._problem)
        left = max(0.0, held.expires_at - self._now())
        return CredentialsState(self._source.name, held.credentials.masked_id, left, self._problem)

    def refresh(self) -> None:
        """Ask the source now, in this thread; raises NoCredentials. What is held stays if that fails."""
        with self._one_at_a_time:
            problem = self._problem = self._ask()
        if problem is not None:
            raise NoCredentials(problem)

    def start(self) -> None:
        """Start the thread, and wait until it has asked for the first time."""
        self._thread.start()
        self._tried.wait(self._first_wait)

    def stop(self) -> None:
        """End the thread after what it is doing, without waiting for it."""
        self._stopping.set()

    def _ask(self) -> str | None:
        """Take what the source gives, or say why not."""
        try:
            found = self._source.fetch()
        except NoCredentials as error:
            return str(error)
        except Exception as error:  # noqa: BLE001  (a thread that ended would leave the worker without credentials)
            return f"an unforeseen failure ({type(error).__name__})"
        now = self._now()
        usable_until = found.expires_at - _MARGIN_S
        if usable_until <= now:
            return "what it gives has expired by this machine's clock, or is about to; check the clock"
        keep = min((usable_until - now) * random.uniform(0.5, 0.75), _LONGEST_KEPT_S)  # noqa: S311 - guards nothing
        self._held = _Held(found.credentials, usable_until, found.expires_at, now + keep)
        return None

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            pause = self._look_every
            held = self._held
            if held is None or failures or self._now() >= held.refresh_at:
                failures = 0 if self._try() else failures + 1
                pause = _back_off(failures) if failures else pause
                self._tried.set()
            self._stopping.wait(pause)

    def _try(self) -> bool:
        try:
            self.refresh()
        except NoCredentials as error:
            problem = str(error)
        else:
            problem = ""
        state = self.describe()
        left = state.seconds_left or 0.0
        if not problem:
            log.info("credentials from %s: %s, valid for %d s", state.source, state.masked_id, left)
        elif left > _MARGIN_S:
            log.warning(
                "no new credentials from %s: %s. The present ones are valid for %d s; trying again",
                state.source,
                problem,
                left,
            )
        else:
            log.error("no credentials from %s: %s. Nothing can be sent; trying again", state.source, problem)
        return not problem


def _back_off(failures: int) -> float:
    """Seconds to wait after so many failures: doubling, with a random part that keeps workers apart."""
    longest: float = min(2.0 ** min(failures - 1, 10), _LONGEST_PAUSE_S)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing
