"""Connections that keep to a deadline and keep the request to themselves.

requests and urllib3 carry the request as ``POST /`` only, without the query string: the key pressed and the
phone numbers are put in by the connection in the moment of writing. So no exception text, no log line, no
traceback and no instrumentation of these libraries can show them.

The same moment is the last look at the deadline, after the connection is up, which can take seconds. From
then on, and while connecting, every wait for the network gets no more time than is left in all.
"""

import http.client
import io
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.util import Retry

from worker.ccc.names import Names
from worker.clock import clock

METHOD = "POST"

_REQUEST_LINE = b"POST / HTTP/1.1\r\n"

# A connection that rested longer may have been dropped by a NAT on the way without a word, and the key would
# wait for the whole read time-out.
_MAX_IDLE_SECONDS = 30.0

_current = threading.local()


class LateError(Exception):
    """The deadline was over when the request should have been written."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer: what to write, how long it may take, and how far it has come.

    not_after and ends_at are moments on worker.clock. The repr shows nothing.
    """

    target: str = field(repr=False)
    not_after: float = field(repr=False)
    ends_at: float = field(repr=False)
    connect_timeout: float = field(repr=False)
    read_timeout: float = field(repr=False)
    names: Names = field(repr=False)
    written: bool = False
    connection: "GuardedConnection | None" = field(default=None, repr=False)

    def seconds_left(self) -> float:
        """How long the next wait may take; raises TimeoutError when there is no time left."""
        if self.written:
            left = min(self.read_timeout, self.ends_at - clock())
        else:
            left = min(self.connect_timeout, min(self.ends_at, self.not_after) - clock())
        if left <= 0:
            raise TimeoutError
        return left

    def begin(self) -> float:
        """The last look at the clock before the request is written: how long writing may take.

        Raises LateError if the deadline is over, TimeoutError if there is no time left in all.
        """
        now = clock()
        if now >= self.not_after:
            raise LateError
        if now >= self.ends_at:
            raise TimeoutError
        self.written = True
        return min(self.read_timeout, self.ends_at - now)

    def retire_connection(self) -> None:
        """See to it that the connection that this used is not used again."""
        if self.connection is not None:
            self.connection.retired = True


@contextmanager
def carried_out(exchange: Exchange) -> Iterator[None]:
    """What is requested in here, by this thread, is this exchange."""
    _current.exchange = exchange
    try:
        yield
    finally:
        del _current.exchange


class _TimedReader(io.RawIOBase):
    """A socket's bytes, each wait cut to the time that is left; TLS sockets too."""

    def __init__(self, sock: socket.socket, exchange: Exchange) -> None:
        super().__init__()
        self._sock = sock
        self._exchange = exchange
        # makefile counts as a user of the socket, which stays open until this is closed.
        self._raw: Any = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(self._exchange.seconds_left())
        count: int | None = self._raw.readinto(buffer)
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _TimedResponse(http.client.HTTPResponse):
    """An answer (a proxy's to CONNECT too) read through _TimedReader."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        self.fp.close()
        self.fp = io.BufferedReader(_TimedReader(sock, _current.exchange))

    def begin(self) -> None:
        super().begin()
        # urllib3 would log the text of headers that cannot be read, and that may be anything.
        self.msg.defects.clear()
        self.msg.set_payload("")


class GuardedConnection(HTTPConnection):
    """A connection that writes the exchange of the calling thread, if its deadline is not over."""

    response_class = _TimedResponse

    _writing: Exchange | None = None
    _answered_at: float = 0.0
    retired: bool = False

    @property
    def is_connected(self) -> bool:
        """Whether the pool may use it again."""
        fresh = clock() - self._answered_at < _MAX_IDLE_SECONDS
        return fresh and not self.retired and super().is_connected

    def connect(self) -> None:
        """Connect as the exchange's time allows."""
        self.retired = False
        super().connect()

    def request(self, *args: Any, **options: Any) -> None:
        """Write the exchange's request."""
        self._writing = _current.exchange
        self._writing.connection = self
        super().request(*args, **options)

    def send(self, data: Any) -> None:
        """Write bytes: a proxy's CONNECT as it is, the request with its real target."""
        exchange = self._writing
        if exchange is None:
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        self._writing = None
        if not data.startswith(_REQUEST_LINE):
            raise http.client.CannotSendRequest
        request = b"POST " + exchange.target.encode("ascii") + data[len(b"POST /") :]
        self.sock.settimeout(exchange.begin())
        super().send(request)

    def getresponse(self) -> Any:
        """Read status line and headers."""
        response = super().getresponse()
        self._answered_at = clock()
        return response

    def _new_conn(self) -> socket.socket:
        exchange: Exchange = _current.exchange
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, address in exchange.names.look_up(self.host, self.port, exchange.seconds_left()):
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(exchange.seconds_left())
                sock.connect(address)
                # What is left now is for the TLS handshake.
                sock.settimeout(exchange.seconds_left())
            except OSError as error:
                sock.close()
                failure = error
            else:
                return sock
        raise failure

    def _tunnel(self) -> None:
        super()._tunnel()
        self.sock.settimeout(_current.exchange.seconds_left())


class _GuardedTlsConnection(GuardedConnection, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = GuardedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _GuardedTlsConnection


class Adapter(HTTPAdapter):
    """The adapter of such connections: pooled, TLS by one context, and nothing ever sent twice.

    tls is the context that verifies the server; None where the endpoint speaks plain HTTP.
    """

    _POOLS: ClassVar[dict[str, type[HTTPConnectionPool]]] = {"http": _Pool, "https": _TlsPool}

    def __init__(self, pool_size: int, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        never = Retry(
            total=0,
            connect=0,
            read=False,
            redirect=0,
            status=0,
            other=0,
            respect_retry_after_header=False,
        )
        super().__init__(pool_connections=1, pool_maxsize=pool_size, max_retries=never, pool_block=False)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pool of direct connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The pool of connections through a proxy."""
        manager = super().proxy_manager_for(proxy, proxy_ssl_context=self._tls, **options)
        manager.pool_classes_by_scheme = self._POOLS
        return manager

    def build_connection_pool_key_attributes(
        self,
        request: Any,
        verify: Any,
        cert: Any = None,
    ) -> Any:
        """Give every connection the one context: reading the CA bundle takes tens of milliseconds."""
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._tls} if self._tls else {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave TLS to the context, which always verifies."""
