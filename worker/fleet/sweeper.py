"""Finds channels with waiting tasks that nobody serves, and publishes a message for each: the one recovery path."""

import logging
from collections.abc import Callable

from worker.channel.queue import ChannelQueue
from worker.fleet.loop import Loop
from worker.monitoring.logs import Event

log = logging.getLogger(__name__)

MOST_AT_ONCE = 200


class Sweeper:
    """One a worker; any number of them may sweep at the same time."""

    def __init__(self, queue: ChannelQueue, publish: Callable[[str], None], every: float) -> None:
        """Sweep every so many seconds; publish sends the message "serve this channel"."""
        self._queue = queue
        self._publish = publish
        self._loop = Loop("sweeper", self.sweep, every)
        self.start, self.stop = self._loop.start, self._loop.stop

    def sweep(self) -> None:
        """Publish a message for every channel that is due."""
        while True:
            orphans = self._queue.sweep(MOST_AT_ONCE)
            for ch in orphans:
                log.debug(Event("sweep.published", ch=ch))
                self._publish(ch)
            if len(orphans) < MOST_AT_ONCE:
                return
