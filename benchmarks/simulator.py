"""How many requests a second the simulator takes, V3-signed, over keep-alive connections.

    python benchmarks/simulator.py [--requests 20000] [--connections 16] [--signature v3]

The simulator and the load run in processes of their own, each pinned to a core where the system allows it.
The load signs its requests before the clock starts and writes to raw sockets, so that it is not the limit.
"""

import argparse
import asyncio
import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from base64 import b64encode
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import urlopen
from uuid import uuid4

KEY_ID, SECRET = "LTAIbenchmarkKeyId", "benchmarkSecret"
EMPTY = hashlib.sha256(b"").hexdigest()
ANSWER_OK = b'"Code":"OK"'


def encode(text: str) -> str:
    return quote(text, safe="-_.~")


def parameters(number: int) -> dict[str, str]:
    job = f"job-{number % 500:017d}"
    return {
        "ChannelId": f"ch:customer:0108989{number % 500:04d}->13188888888:1609234221870:{job}",
        "DeviceId": "ACC-YUNBS-1.0.10-bse05179638553000176add4046f",
        "Dtmf": "0123456789*#"[number % 12],
        "InstanceId": "ccc-test",
        "JobId": job,
        "UserId": "agent@ccc-test",
    }


def query_of(pairs: dict[str, str]) -> str:
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(pairs.items()))


def v3(number: int, host: str) -> bytes:
    query = query_of(parameters(number))
    headers = {
        "host": host,
        "x-acs-action": "SendDtmfSignaling",
        "x-acs-content-sha256": EMPTY,
        "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": uuid4().hex,
        "x-acs-version": "2020-07-01",
    }
    signed = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    canonical = f"POST\n/\n{query}\n{lines}\n{signed}\n{EMPTY}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = f"ACS3-HMAC-SHA256 Credential={KEY_ID},SignedHeaders={signed},Signature={signature}"
    return request(query, headers)


def v1(number: int, host: str) -> bytes:
    pairs = parameters(number) | {
        "AccessKeyId": KEY_ID,
        "Action": "SendDtmfSignaling",
        "Format": "JSON",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": uuid4().hex,
        "SignatureVersion": "1.0",
        "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Version": "2020-07-01",
    }
    text = f"POST&%2F&{encode(query_of(pairs))}"
    digest = hmac.new(f"{SECRET}&".encode(), text.encode(), hashlib.sha1).digest()
    return request(query_of(pairs | {"Signature": b64encode(digest).decode()}), {"host": host})


def request(query: str, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return (
        f"POST /?{query} HTTP/1.1\r\n{lines}user-agent: benchmark\r\naccept: application/json\r\n"
        "accept-encoding: identity\r\ncontent-length: 0\r\n\r\n"
    ).encode()


class Connection(asyncio.Protocol):
    """One request after another; counts the answers with Code OK."""

    def __init__(self, requests: list[bytes]) -> None:
        self.requests = requests
        self.times: list[float] = []
        self.good = 0
        self.done = asyncio.get_running_loop().create_future()
        self._sent = 0.0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - tells the type checker
        self.transport = transport
        self.send()

    def send(self) -> None:
        if not self.requests:
            self.transport.close()
            self.done.set_result(None)
            return
        self._sent = time.perf_counter()
        self.transport.write(self.requests.pop())

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self.times.append(time.perf_counter() - self._sent)
        self.good += ANSWER_OK in body
        self._buffer = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the simulator closed the connection"))


async def load(url: str, total: int, connections: int, signature: str) -> tuple[float, int, list[float]]:
    """Send ``total`` requests; seconds taken, answers with Code OK, seconds for each."""
    parts = urlsplit(url)
    sign = v3 if signature == "v3" else v1
    shares = [[sign(number, parts.netloc) for number in range(at, total, connections)] for at in range(connections)]
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    made = [
        await loop.create_connection(partial(Connection, share), parts.hostname or "", parts.port or 80)
        for share in shares
    ]
    await asyncio.gather(*(protocol.done for _, protocol in made))
    taken = time.perf_counter() - started
    return taken, sum(p.good for _, p in made), sorted(t for _, p in made for t in p.times)


def pin(core: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[core % len(cores)]})


def ask(url: str) -> dict[str, Any]:
    with urlopen(f"{url}/_sim/stats") as answer:  # noqa: S310 - the simulator that was started here
        stats: dict[str, Any] = json.load(answer)
    return stats


def measure(total: int, connections: int, signature: str) -> None:
    command = [sys.executable, "-m", "worker.simulator", "--port", "0"]
    command += ["--access-key-id", KEY_ID, "--access-key-secret", SECRET]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ALIBABA_CLOUD")}
    with subprocess.Popen(  # noqa: S603 - our own program
        command,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=lambda: pin(1),  # noqa: PLW1509
    ) as server:
        assert server.stdout is not None  # noqa: S101 - tells the type checker
        try:
            url = server.stdout.readline().split()[-1]
            pin(0)
            before = ask(url)
            taken, good, times = asyncio.run(load(url, total, connections, signature))
            stats = ask(url)
        finally:
            server.send_signal(signal.SIGTERM)
    if not good == stats["heard"] == total:
        raise SystemExit(f"of {total} requests {good} were answered OK, {stats['heard']} heard: {stats['codes']}")
    cpu = stats["cpu_seconds"] - before["cpu_seconds"]
    middle, late = times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3
    print(
        f"{total / taken:,.0f} requests/s  ({signature}, {connections} connections, {total:,} requests in "
        f"{taken:.2f} s; p50 {middle:.2f} ms, p99 {late:.2f} ms; all heard and logged)\n"
        f"{cpu / total * 1e6:,.0f} µs of CPU a request: {total / cpu:,.0f} requests/s on a core of its own"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--requests", type=int, default=20_000)
    options.add_argument("--connections", type=int, default=16)
    options.add_argument("--signature", choices=["v3", "v1"], default="v3")
    chosen = options.parse_args()
    measure(chosen.requests, chosen.connections, chosen.signature)


if __name__ == "__main__":
    main()
