"""Name look-ups that never keep a caller longer than it has time for."""

import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

_Found = Sequence[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]


class Names:
    """Addresses of hosts, looked up in threads of their own.

    The system's look-up has no time-out and can take half a minute. A caller whose time is over leaves; all
    that ask for the same host meanwhile wait for the one look-up that is under way.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, int], Future[_Found]] = {}

    def look_up(self, host: str, port: int, seconds: float) -> _Found:
        """The TCP addresses of a host, best first; raises OSError, TimeoutError when the seconds are over."""
        with self._lock:
            found = self._under_way.get((host, port))
            if found is None:
                found = Future()
                threading.Thread(target=self._run, args=(host, port, found), daemon=True).start()
                self._under_way[host, port] = found
        return found.result(seconds)

    def _run(self, host: str, port: int, found: "Future[_Found]") -> None:
        try:
            result = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except Exception as error:  # noqa: BLE001  (handed to those who wait)
            self._forget(host, port)
            found.set_exception(error)
        else:
            self._forget(host, port)
            found.set_result(result)

    def _forget(self, host: str, port: int) -> None:
        with self._lock:
            del self._under_way[host, port]
