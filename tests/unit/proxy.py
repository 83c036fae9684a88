"""A small TCP proxy before a real server: it can speak TLS, lose one answer, or go away at a chosen moment."""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any, Self


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

    def _begin(self, what: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=what, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            self._begin(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        # A client that refuses the certificate, or one end that goes away, ends the connection and nothing else.
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
                self._sockets.append(client)
            stack.callback(_shut, client)
            server = socket.create_connection(("127.0.0.1", self._target))
            self._sockets.append(server)
            stack.callback(_shut, server)
            self._relay(client, server)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        # One thread for both directions: a TLS connection must not be read and written at the same time.
        while True:
            ready, _, _ = select.select([client, server], [], [])
            if client in ready:
                if not (asked := _read(client)):
                    return
                server.sendall(asked)
            if server in ready:
                if not (answer := _read(server)):
                    return
                if self.lose and self.lose in answer:
                    self.lose, self.lost = None, True
                    return
                last = bool(self.leave_after and self.leave_after in answer)
                if last:
                    self._hang_up()
                client.sendall(answer)
                if last:
                    return

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


def _read(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    while isinstance(sock, ssl.SSLSocket) and sock.pending():
        data += sock.recv(sock.pending())
    return data


def _shut(*sockets: socket.socket) -> None:
    for sock in sockets:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
