"""Finds channels with waiting tasks that nobody serves, and has them served: the one recovery path.

It needs no broker: a worker serves what it finds itself, as many channels as it has free slots, and leaves the others
to workers that have some. So a server which takes no messages (its memory is full), or from which Celery is still cut
off after an outage, holds nobody up. What no worker had a slot for in a second gets in line with a message. So does,
while messages come, what stands in line already: or a long line would be overtaken by whatever the sweeper sees first.
"""

import logging
from collections.abc import Callable

from worker.channel.queue import ChannelQueue
from worker.fleet.loop import Loop
from worker.monitoring.logs import Event

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200
_LEFT_TO_OTHERS_MS = 1000


class Sweeper:
    """One a worker; any number of them may sweep at the same time."""

    def __init__(
        self,
        queue: ChannelQueue,
        *,
        free: Callable[[], int],
        line_moves: Callable[[], bool],
        take: Callable[[str], bool],
        publish: Callable[[str], None],
        every: float,
    ) -> None:
        """Sweep every so many seconds.

        Args:
            queue: the channel queues.
            free: how many slots this worker has free.
            line_moves: whether messages come to this worker.
            take: serves a channel in this worker, or answers False: it cannot.
            publish: sends the message "serve this channel" for another one.
            every: seconds between two sweeps.
        """
        self._queue = queue
        self._free = free
        self._line_moves = line_moves
        self._take = take
        self._publish = publish
        self._loop = Loop("sweeper", self.sweep, every)
        self.start, self.stop = self._loop.start, self._loop.stop

    def sweep(self) -> None:
        """Have every channel served that is due."""
        while True:
            free = self._free()
            most = min(free, MOST_AT_ONCE) or MOST_AT_ONCE
            left, in_line = self._queue.sweep(most, overdue_ms=0 if free else _LEFT_TO_OTHERS_MS)
            for ch in left:
                self._have_served(ch, here=free > 0)
            for ch in in_line:
                self._have_served(ch, here=free > 0 and not self._line_moves())
            if len(left) + len(in_line) < most:
                return

    def _have_served(self, ch: str, *, here: bool) -> None:
        log.debug(Event("sweep.found", ch=ch))
        if not (here and self._take(ch)):
            self._publish(ch)
