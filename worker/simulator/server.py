"""The simulator as an HTTP server, on aiohttp's low-level one, without routing: it has to be fast."""

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from urllib.parse import parse_qsl

from aiohttp import web

from worker.simulator.admin import PREFIX, Admin
from worker.simulator.answers import Answer
from worker.simulator.config import SimulatorConfig
from worker.simulator.control import SimulatorControl
from worker.simulator.scene import Trickle
from worker.simulator.service import Exchange, Service

log = logging.getLogger(__name__)
# Long ids in the query must reach the checks, not aiohttp's own limits.
_LIMIT = 262_144
_FLUSH_EVERY = 0.2
# What is still on its way gets this long at the end; zero would mean no limit.
_GRACE = 0.05
# SO_LINGER on, zero seconds: closing sends a reset.
_RESET = struct.pack("ii", 1, 0)


class _Whole(web.StreamResponse):
    """An answer in one write: preparing aiohttp's own response would be a fifth of all work."""

    def __init__(self, request: web.BaseRequest, answer: Answer, headers: dict[str, str]) -> None:
        super().__init__(status=answer.status)
        self._alive = request.keep_alive
        lines = [f"HTTP/1.1 {answer.status} {self.reason}", f"Content-Length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if not self._alive:
            lines.append("Connection: close")
        body = b"" if request.method == "HEAD" else answer.body
        self._bytes = "\r\n".join([*lines, "", ""]).encode("latin-1") + body

    @property
    def keep_alive(self) -> bool:
        return self._alive

    async def prepare(self, request: web.BaseRequest) -> None:
        if request.transport is not None:
            request.transport.write(self._bytes)

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


class Simulator:
    """A running simulator; `start` makes one. ``url`` is where it listens, ``service`` what it is made of."""

    def __init__(self, config: SimulatorConfig) -> None:
        self.config = config
        self.service = Service(config)
        self.url = ""
        self._admin = Admin(self.service, config.instances[0] if config.instances else "ccc-test")
        self._runner: web.ServerRunner | None = None
        self._flusher: asyncio.Task[None] | None = None

    async def listen(self) -> None:
        """Bind and accept; raises OSError where the port is taken or a TLS file does not fit."""
        tls = None
        if self.config.tls_cert is not None:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self.config.tls_cert, self.config.tls_key)
        server = web.Server(
            self._handle, access_log=None, max_line_size=_LIMIT, max_field_size=_LIMIT, keepalive_timeout=75.0
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_GRACE)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.config.host, self.config.port, ssl_context=tls, backlog=1024)
        await site.start()
        port = self._runner.addresses[0][1]
        host = f"[{self.config.host}]" if ":" in self.config.host else self.config.host
        self.url = f"{'http' if tls is None else 'https'}://{host}:{port}"
        if self.config.log_file is not None:
            self._flusher = asyncio.create_task(self._flush())
        log.info("simulator listens on %s", self.url)

    async def stop(self) -> None:
        """Close every connection and the log's file; what was still on its way is cut off."""
        if self._flusher is not None:
            self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher
        if self._runner is not None:
            server = self._runner.server
            open_ones = [] if server is None else [connection.transport for connection in server.connections]
            await self._runner.cleanup()
            for transport in open_ones:
                if transport is not None:
                    transport.abort()  # a TLS connection would wait for its client's goodbye
            await asyncio.sleep(0)
        self.service.log.close()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_EVERY)
            self.service.log.flush()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read() if request.body_exists else b""
        target = request.raw_path
        if target.startswith(PREFIX):
            return self._control(request, body)
        exchange = await self.service.serve(request.method, target, request.headers, body)
        return await self._deliver(request, exchange)

    def _control(self, request: web.BaseRequest, body: bytes) -> web.Response:
        path, _, query = request.raw_path.partition("?")
        name = path.removeprefix(PREFIX)
        status, content_type, text = self._admin.call(request.method, name, dict(parse_qsl(query)), body)
        return web.Response(status=status, text=text, content_type=content_type)

    async def _deliver(self, request: web.BaseRequest, exchange: Exchange) -> web.StreamResponse:
        answer, plan = exchange.answer, exchange.plan
        if answer is None or plan.drop is not None:
            self.service.done(exchange, answered=False)
            _cut(request, reset=plan.drop is not None and plan.drop.how == "reset")
            return web.Response()
        transport = request.transport
        self.service.done(exchange, answered=transport is not None and not transport.is_closing())
        headers = _headers(answer)
        headers["Date"] = formatdate(time.time() + self.service.settings.clock_offset, usegmt=True)
        if plan.truncate is None and plan.trickle is None:
            return _Whole(request, answer, headers)
        return await _piecemeal(request, answer, headers, plan.truncate, plan.trickle)


async def start(config: SimulatorConfig) -> Simulator:
    """Start a simulator in the running event loop; `Simulator.stop` ends it."""
    simulator = Simulator(config)
    try:
        await simulator.listen()
    except BaseException:
        await simulator.stop()
        raise
    return simulator


@contextlib.contextmanager
def running(config: SimulatorConfig | None = None) -> Iterator[SimulatorControl]:
    """A simulator in a thread and a loop of its own, for tests: yields its control, whose ``url`` it has."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="simulator", daemon=True)
    thread.start()
    try:
        simulator = asyncio.run_coroutine_threadsafe(start(config or SimulatorConfig()), loop).result()
        verify = config.tls_cert if config is not None else None
        try:
            with SimulatorControl(simulator.url, verify=True if verify is None else str(verify)) as control:
                yield control
        finally:
            asyncio.run_coroutine_threadsafe(simulator.stop(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _headers(answer: Answer) -> dict[str, str]:
    headers = {"Content-Type": answer.content_type, "x-acs-request-id": answer.request_id}
    if answer.retry_after_ms is not None:
        headers["x-acs-retry-after"] = str(answer.retry_after_ms)
    if answer.location is not None:
        headers["Location"] = answer.location
    return headers


def _cut(request: web.BaseRequest, *, reset: bool) -> None:
    transport = request.transport
    if transport is None:
        return
    if reset:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()


async def _piecemeal(
    request: web.BaseRequest,
    answer: Answer,
    headers: dict[str, str],
    truncate: int | None,
    trickle: Trickle | None,
) -> web.StreamResponse:
    """Write an answer in pieces, or only its beginning, under the length of the whole."""
    response = web.StreamResponse(status=answer.status, headers=headers | {"Content-Length": str(len(answer.body))})
    body = answer.body if truncate is None else answer.body[:truncate]
    size = len(body) or 1
    if trickle is not None:
        size = trickle.size
    try:
        await response.prepare(request)
        for at in range(0, len(body), size):
            if at and trickle is not None:
                await asyncio.sleep(trickle.every)
            await response.write(body[at : at + size])
    except ConnectionError:
        return response
    if len(body) < len(answer.body) and request.transport is not None:
        request.transport.close()
    return response
