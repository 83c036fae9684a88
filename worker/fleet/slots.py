"""The threads of a worker that serve channels: Celery fills them with messages, the sweeper with what it finds."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor

# No message for so long, and the line of messages is empty, or stands.
LINE_STOOD_S = 1.0


class Slots:
    """Counts the runs of a worker, so that neither way in gives it more channels than it has threads for."""

    def __init__(self, number: int, serve: Callable[[str], None]) -> None:
        """number: of the threads; serve: one run, which does not raise."""
        self._number = number
        self._serve = serve
        self._busy = 0
        self._message_at = -LINE_STOOD_S
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """How many further channels would be served at once."""
        return max(0, self._number - self._busy)

    @property
    def line_moves(self) -> bool:
        """Whether messages come."""
        return time.monotonic() < self._message_at + LINE_STOOD_S

    def serve(self, ch: str) -> None:
        """Serve a channel in the caller's thread, one of Celery's."""
        with self._lock:
            self._busy += 1
            self._message_at = time.monotonic()
        self._run(ch)

    def take(self, ch: str, threads: Executor) -> bool:
        """Serve a channel in one of these threads, if one is free."""
        with self._lock:
            if not self.free:
                return False
            self._busy += 1
        try:
            threads.submit(self._run, ch)
        except RuntimeError:  # they are being shut down
            with self._lock:
                self._busy -= 1
            return False
        return True

    def _run(self, ch: str) -> None:
        try:
            self._serve(ch)
        finally:
            with self._lock:
                self._busy -= 1
