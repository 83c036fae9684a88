"""A small TCP proxy before a real server: it can speak TLS, lose one answer, or go away at a chosen moment."""

import contextlib
import socket
import ssl
import threading
from typing import Self


class Proxy:
    """Passes connections on to a port of this machine.

    Attributes:
        port: where it listens.
        lose: the first answer that holds these bytes is dropped, with its connection.
        leave_after: the first answer that holds these bytes is the last; then the proxy is gone.
        lost: whether an answer was dropped.
    """

    def __init__(self, target: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.lose: bytes | None = None
        self.leave_after: bytes | None = None
        self.lost = False
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def _begin(self, what: object, *args: object) -> None:
        thread = threading.Thread(target=what, args=args, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            self._begin(self._connect, client)

    def _connect(self, client: socket.socket) -> None:
        try:
            if self._tls:
                raw, client = client, self._tls.wrap_socket(client, server_side=True)
                self._sockets.append(client)
                self._sockets.remove(raw)
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        self._sockets.append(server)
        self._begin(self._pass, client, server)
        self._answer(server, client)

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                server.sendall(data)
        _shut(client, server)

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if self.lose and self.lose in data:
                    self.lose, self.lost = None, True
                    break
                last = self.leave_after and self.leave_after in data
                if last:
                    self._hang_up()
                client.sendall(data)
                if last:
                    break
        _shut(client, server)

    def _hang_up(self) -> None:
        # close() alone would leave the thread in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hang_up()
        _shut(*self._sockets)
        for thread in list(self._threads):
            thread.join(5)
        for sock in self._sockets:
            sock.close()


def _shut(*sockets: socket.socket) -> None:
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
