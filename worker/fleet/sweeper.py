"""Finds channels with waiting tasks that nobody serves, and has them served: the one recovery path.

It needs no broker: with a free slot the worker serves the channel itself, so that a server which takes no messages (its
memory is full), or from which Celery is still cut off after an outage, holds nobody up.
"""

import logging
from collections.abc import Callable

from worker.channel.queue import ChannelQueue
from worker.fleet.loop import Loop
from worker.monitoring.logs import Event

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200


class Sweeper:
    """One a worker; any number of them may sweep at the same time."""

    def __init__(
        self, queue: ChannelQueue, take: Callable[[str], bool], publish: Callable[[str], None], every: float
    ) -> None:
        """Sweep every so many seconds.

        Args:
            queue: the channel queues.
            take: serves a channel in this worker, or answers False: it has no free slot.
            publish: sends the message "serve this channel" for another one.
            every: seconds between two sweeps.
        """
        self._queue = queue
        self._take = take
        self._publish = publish
        self._loop = Loop("sweeper", self.sweep, every)
        self.start, self.stop = self._loop.start, self._loop.stop

    def sweep(self) -> None:
        """Serve every channel that is due, or publish a message for it."""
        while True:
            orphans = self._queue.sweep(MOST_AT_ONCE)
            for ch in orphans:
                log.debug(Event("sweep.found", ch=ch))
                if not self._take(ch):
                    self._publish(ch)
            if len(orphans) < MOST_AT_ONCE:
                return
