"""A run: its token, and until when it vouches for being alive."""

import secrets
from dataclasses import dataclass, field

from worker.clock import clock


@dataclass(eq=False)
class Run:
    """One worker thread that serves one channel.

    Attributes:
        ch: digest of the channel.
        token: random; no two runs share one.
        busy_until: on worker.clock; past it the heartbeat no longer renews the lease, so that a hung thread loses
            its channel although its process lives.
        lost: another run has the channel; whatever this one learns comes too late.
        started: when it began, on worker.clock.
    """

    ch: str
    token: str = field(default_factory=lambda: secrets.token_hex(16))
    busy_until: float = 0
    lost: bool = False
    started: float = field(default_factory=clock)

    def busy_for(self, seconds: float) -> None:
        """Announce a step that ends within so many seconds."""
        self.busy_until = clock() + seconds
