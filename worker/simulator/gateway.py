"""The gateway in front of the API: who asks, when, with which nonce, and how often."""

import re
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache

from worker.simulator.errors import Refusal, missing
from worker.simulator.scene import Bucket, Model, Settings
from worker.simulator.signature import V3, SignedRequest

ACTION = "SendDtmfSignaling"
VERSION = "2020-07-01"
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Account(Model):
    """An access key that is let in.

    With a ``token`` it is a temporary credential, which must carry just this one; ``expires_at`` (epoch
    seconds) ends it.
    """

    id: str
    secret: str
    token: str | None = None
    expires_at: float | None = None


class Nonces:
    """The nonces seen, counted for each access key; old ones are forgotten."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}
        self._oldest: deque[tuple[float, tuple[str, str]]] = deque()

    def __len__(self) -> int:
        return len(self._until)

    def seen(self, key: tuple[str, str], now: float) -> bool:
        """Whether the nonce is remembered at the time ``now``."""
        return self._until.get(key, now) > now

    def burn(self, key: tuple[str, str], now: float, memory: float) -> None:
        """Remember the nonce for ``memory`` seconds, and forget those whose time is over."""
        while self._oldest and self._oldest[0][0] <= now:
            until, old = self._oldest.popleft()
            if self._until.get(old) == until:
                del self._until[old]
        self._until[key] = now + memory
        self._oldest.append((now + memory, key))

    def release(self, key: tuple[str, str]) -> None:
        """Forget a nonce at once."""
        self._until.pop(key, None)


class Gateway:
    """The checks, in the order in which the real gateway is taken to make them."""

    def __init__(
        self,
        settings: Settings,
        accounts: Iterable[Account],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self.accounts = {account.id: account for account in accounts}
        self.nonces = Nonces()
        self.use(settings)

    def use(self, settings: Settings) -> None:
        """Change the settings; nonces stay, a quota starts full."""
        self.settings = settings
        self._quota = [] if settings.quota is None else [Bucket(settings.quota, self._monotonic)]

    def admit(self, request: SignedRequest, buckets: list[Bucket]) -> None:
        """Let the request pass and burn its nonce, or raise `Refusal`.

        No other request comes in between: of two copies, one passes.
        """
        now = self._clock() + self.settings.clock_offset
        _check_call(request)
        account = self._check_key(request, now)
        self._check_time(request.timestamp, now)
        request.verify(account.secret)
        key = (request.access_key_id, request.nonce)
        quota = self._quota + buckets
        if self.settings.nonce_first:
            self._check_nonce(request, key, now)
            self._check_quota(quota, key, now)
        else:
            self._check_quota(quota, key, now)
            self._check_nonce(request, key, now)
        self.nonces.burn(key, now, self.settings.nonce_memory)

    def refused_later(self, request: SignedRequest) -> None:
        """The API refused what `admit` let pass: give the nonce back if this gateway is like that."""
        if not self.settings.burn:
            self.nonces.release((request.access_key_id, request.nonce))

    def _check_key(self, request: SignedRequest, now: float) -> Account:
        if not request.access_key_id:
            raise missing("AccessKeyId")
        account = self.accounts.get(request.access_key_id)
        if account is None:
            raise Refusal("InvalidAccessKeyId.NotFound")
        if account.token is None:
            if request.security_token:
                raise Refusal("InvalidSecurityToken.MismatchWithAccessKey")
        elif not request.security_token:
            raise Refusal("InvalidSecurityToken.Malformed")
        elif request.security_token != account.token:
            raise Refusal("InvalidSecurityToken.MismatchWithAccessKey")
        if account.expires_at is not None and now >= account.expires_at:
            raise Refusal("InvalidSecurityToken.Expired")
        return account

    def _check_time(self, timestamp: str, now: float) -> None:
        if not timestamp:
            raise missing("Timestamp")
        signed_at = _epoch(timestamp)
        if signed_at is None:
            raise Refusal("InvalidTimeStamp.Format")
        if abs(now - signed_at) > self.settings.timestamp_window:
            raise Refusal("InvalidTimeStamp.Expired")

    def _check_quota(self, buckets: list[Bucket], key: tuple[str, str], now: float) -> None:
        for bucket in buckets:
            if not bucket.take():
                if self.settings.burn and key[1]:
                    self.nonces.burn(key, now, self.settings.nonce_memory)
                raise Refusal(bucket.throttle.code, retry_after_ms=bucket.throttle.retry_after_ms)

    def _check_nonce(self, request: SignedRequest, key: tuple[str, str], now: float) -> None:
        if not request.nonce:
            raise missing("SignatureNonce")
        if self.nonces.seen(key, now):
            raise Refusal("SignatureNonceUsed")


def _check_call(request: SignedRequest) -> None:
    if request.method != "POST":
        raise Refusal("UnsupportedHTTPMethod")
    if not request.action:
        raise missing("x-acs-action" if request.version == V3 else "Action")
    if not request.api_version:
        raise missing("x-acs-version" if request.version == V3 else "Version")
    if request.path != "/" or request.action != ACTION:
        raise Refusal("InvalidAction.NotFound")
    if request.api_version != VERSION:
        raise Refusal("InvalidVersion")


@lru_cache(maxsize=256)
def _epoch(timestamp: str) -> float | None:
    if not _TIMESTAMP.fullmatch(timestamp):
        return None
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        return None
