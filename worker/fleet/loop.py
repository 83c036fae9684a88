"""A thread that does one thing again and again, and outlives an outage of Redis."""

import logging
import threading
from collections.abc import Callable

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from worker.channel.server import is_hindered
from worker.monitoring.logs import Event

log = logging.getLogger(__name__)

# After a fault the next turn waits at least so long: a refused connection fails at once, again and again.
_PAUSE_S = 0.2


class Loop:
    """Calls `turn` every `every` seconds in a daemon thread, until it is stopped."""

    def __init__(self, name: str, turn: Callable[[], object], every: float) -> None:
        """Nothing runs before start."""
        self._name = name
        self._turn = turn
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._down = False

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End after the present turn; wait so many seconds for it at the most."""
        self._stop.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stop.is_set():
            pause = max(self._every, _PAUSE_S)
            try:
                self._turn()
                pause = self._every
                if self._down:
                    log.warning(Event("redis.back", thread=self._name))
                self._down = False
            except Exception as error:  # noqa: BLE001
                # A thread that ends here would leave the fleet without its heartbeat or sweeper for good.
                self._note(error)
            self._stop.wait(pause)

    def _note(self, error: Exception) -> None:
        hindered = isinstance(error, OperationalError) or (isinstance(error, RedisError) and is_hindered(error))
        if not hindered:
            log.error(Event("thread.failed", thread=self._name), exc_info=error)
        elif not self._down:
            log.warning(Event("redis.down", thread=self._name, error=type(error).__name__))
            self._down = True
