"""A server of raw sockets that does to each request what a test tells it to, and remembers what it saw."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Script = Callable[["Visit"], None]

OK_BODY = json.dumps({"Code": "OK", "HttpStatusCode": 200, "RequestId": "AB-1"}).encode()


@dataclass
class Visit:
    """One request on one connection, as a script sees it."""

    sock: socket.socket
    over: threading.Event
    """Set when the test is over: a script that delays waits for this and not for the clock."""
    request: bytes = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close so that the client gets a reset instead of an end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def trickle(self, data: bytes, pause: float) -> None:
        for byte in data:
            if self.over.wait(pause):
                return
            self.send(bytes([byte]))


def response(body: bytes = OK_BODY, status: str = "200 OK", *headers: str) -> bytes:
    """The bytes of an HTTP answer of a known length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    if not any(line.lower().startswith("content-type") for line in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode() + body


def answering(data: bytes) -> Script:
    """A script that sends these bytes and keeps the connection."""
    return lambda visit: visit.send(data)


def closing_after(data: bytes) -> Script:
    """A script that sends these bytes and closes."""

    def script(visit: Visit) -> None:
        visit.send(data)
        visit.sock.close()

    return script


def silence(visit: Visit) -> None:
    """A script that never answers."""
    visit.over.wait(60)


@dataclass
class Server:
    """Runs one script for each request, the last one again and again."""

    scripts: list[Script]
    tls: ssl.SSLContext | None = None
    before_handshake: Callable[[threading.Event], object] = lambda over: None  # noqa: ARG005
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._spawn(self._accept)

    def close(self) -> None:
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(20)

    def _spawn(self, target: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._spawn(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(20)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(sock.close)
            if self.tls is not None:
                self.before_handshake(self._over)
                sock = self.tls.wrap_socket(sock, server_side=True)
                stack.callback(sock.close)
            while not self._over.is_set() and (head := self._read_head(sock)):
                self._next_script(head)(Visit(sock, self._over, head))

    def _next_script(self, head: bytes) -> Script:
        with self._lock:
            self.requests.append(head)
            return self.scripts[min(len(self.requests), len(self.scripts)) - 1]

    def _read_head(self, sock: socket.socket) -> bytes:
        head = b""
        sock.settimeout(0.1)
        while not head.endswith(b"\r\n\r\n"):
            try:
                data = sock.recv(65536)
            except TimeoutError:
                if self._over.is_set():
                    return b""
                continue
            if not data:
                return b""
            head += data
        sock.settimeout(20)
        return head


@contextlib.contextmanager
def serving(*scripts: Script, **options: Any) -> Iterator[Server]:
    """A server for the length of a with block."""
    server = Server(list(scripts), **options)
    try:
        yield server
    finally:
        server.close()
