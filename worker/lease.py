"""A run: its token, until when it vouches for being alive, and which task it sends."""

import secrets
import time
from dataclasses import dataclass, field

from worker.clock import clock


@dataclass(frozen=True, slots=True)
class AtWork:
    """A task whose digits are being sent.

    Attributes:
        id: the task's id.
        ch: digest of its channel.
        digits: number of its digits.
        instance_id: the instance that it names, or None.
        since: when the run came to it, in seconds since 1970.
    """

    id: str
    ch: str
    digits: int
    instance_id: str | None
    since: float = field(default_factory=time.time)


@dataclass(eq=False)
class Run:
    """One worker thread that serves one channel.

    Attributes:
        ch: digest of the channel.
        token: random; no two runs share one.
        busy_until: on worker.clock; past it the heartbeat no longer renews the lease, so that a hung thread loses
            its channel although its process lives.
        lost: another run has the channel; whatever this one learns comes too late.
        vouched: when Redis was last asked whether the channel is this run's, and said so; on worker.clock.
        started: when it began, on worker.clock.
        at_work: the task whose digits it sends, or sent last.
    """

    ch: str
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    busy_until: float = 0
    lost: bool = False
    vouched: float = field(default_factory=clock)
    started: float = field(default_factory=clock)
    at_work: AtWork | None = None

    def busy_for(self, seconds: float) -> None:
        """Announce a step that ends within so many seconds."""
        self.busy_until = clock() + seconds
