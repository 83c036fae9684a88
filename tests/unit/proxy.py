"""A small TCP proxy before a real server: it can speak TLS, ill-treat answers, fall silent, go away and come back."""

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
        silent_after: the first answer that holds these bytes is the last; then the proxy is silent.
        lost: whether an answer was dropped.
        silent: what comes in is read and goes nowhere.
        tls: with what new connections are served; None for plain TCP.
        treat: what becomes of an answer: it is called with it and with the client's socket, and says whether the
            connection lasts.
    """

    def __init__(self, target: int, *, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.tls = tls
        self.treat: Callable[[bytes, socket.socket], bool] = _pass_on
        self.lose: bytes | None = None
        self.leave_after: bytes | None = None
        self.silent_after: bytes | None = None
        self.silent = False
        self.lost = False
        self._sockets: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._begin(self._accept)

    def _begin(self, what: Callable[..., None], *args: Any) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=what, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._begin(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        # A client that refuses the certificate, or one end that goes away, ends the connection and nothing else.
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            self._keep(stack, client)
            if self.tls:
                client = self._keep(stack, self.tls.wrap_socket(client, server_side=True))
            server = self._keep(stack, socket.create_connection(("127.0.0.1", self._target)))
            self._relay(client, server)

    def _keep(self, stack: contextlib.ExitStack, sock: socket.socket) -> socket.socket:
        """Have a socket closed at the end of its connection, or by cut."""
        self._sockets.add(sock)
        stack.callback(sock.close)
        stack.callback(_shut, sock)
        stack.callback(self._sockets.discard, sock)
        return sock

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        # One thread for both directions: a TLS connection must not be read and written at the same time.
        while True:
            ready, _, _ = select.select([client, server], [], [])
            if client in ready:
                if not (asked := _read(client)):
                    return
                if not self.silent:
                    server.sendall(asked)
            if server in ready:
                if not (answer := _read(server)):
                    return
                if not self._answer(answer, client):
                    return

    def _answer(self, answer: bytes, client: socket.socket) -> bool:
        """Pass an answer on, unless something befalls it; whether the connection lasts."""
        if self.lose and self.lose in answer:
            self.lose, self.lost = None, True
            return False
        last = bool(self.leave_after and self.leave_after in answer)
        if last:
            self.leave()
        if self.silent_after and self.silent_after in answer:
            self.silent = True
        return self.treat(answer, client) and not last

    def leave(self) -> None:
        """Refuse connections from now on; those that are open last."""
        # close() alone would leave the thread in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def come_back(self) -> None:
        """Take connections again, on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._begin(self._accept)

    def cut(self) -> None:
        """End every connection that is open."""
        for sock in list(self._sockets):
            _shut(sock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()
        self.cut()
        for thread in list(self._threads):
            thread.join(5)


def _pass_on(answer: bytes, client: socket.socket) -> bool:
    client.sendall(answer)
    return True


def _read(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    while isinstance(sock, ssl.SSLSocket) and sock.pending():
        data += sock.recv(sock.pending())
    return data


def _shut(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
