"""Where requests go: endpoints, TLS, proxies and names."""

import contextlib
import selectors
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.ccc.certificates import Certificates
from tests.ccc.conftest import MakeClient, MakeServer
from tests.ccc.presses import send
from tests.ccc.wire import Script, Visit, answering, response, silence
from worker.ccc.client import CccClient
from worker.ccc.endpoint import settle_endpoint
from worker.ccc.errors import BadEndpoint, Unanswered
from worker.clock import clock


@pytest.mark.parametrize(
    ("endpoint", "url", "host"),
    [
        (
            "https://ccc.cn-shanghai.aliyuncs.com",
            "https://ccc.cn-shanghai.aliyuncs.com/",
            "ccc.cn-shanghai.aliyuncs.com",
        ),
        ("HTTPS://CCC.aliyuncs.com/", "https://ccc.aliyuncs.com/", "ccc.aliyuncs.com"),
        ("https://ccc.aliyuncs.com:443", "https://ccc.aliyuncs.com/", "ccc.aliyuncs.com"),
        ("https://ccc.aliyuncs.com:8443", "https://ccc.aliyuncs.com:8443/", "ccc.aliyuncs.com:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/", "127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9/", "127.9.9.9"),
        ("http://localhost:80", "http://localhost/", "localhost"),
        ("http://[::1]:8080", "http://[::1]:8080/", "[::1]:8080"),
    ],
)
def test_an_endpoint_gives_url_and_host_header(endpoint: str, url: str, host: str) -> None:
    settled = settle_endpoint(endpoint)
    assert (settled.url, settled.host) == (url, host)
    assert (settled.tls is None) == url.startswith("http:")


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "ccc.aliyuncs.com",
        "http://ccc.aliyuncs.com",
        "http://10.0.0.1",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://[::2]",
        "ftp://127.0.0.1",
        "https://",
        "https://user:geheim@ccc.aliyuncs.com",
        "https://@ccc.aliyuncs.com",
        "https://ccc.aliyuncs.com/path",
        "https://ccc.aliyuncs.com?query",
        "https://ccc.aliyuncs.com#fragment",
        "https://ccc.aliyuncs.com:99999",
        "https://ccc.aliyuncs.com:port",
        "https://[::1",
        "https://a b",
        "https://a\r\nb",
        "https://\u4f8b.example",
    ],
)
def test_what_is_no_endpoint_is_refused_without_being_quoted(endpoint: str) -> None:
    with pytest.raises(BadEndpoint) as caught:
        CccClient(endpoint)
    assert isinstance(caught.value, ValueError)
    assert "geheim" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_bundle_that_is_none_is_refused_at_start(tmp_path: Any, content: str | None) -> None:
    bundle = tmp_path / "bundle.pem"
    if content is not None:
        bundle.write_text(content)
    with pytest.raises(BadEndpoint, match="CA bundle"):
        CccClient("https://ccc.example", ca_bundle=str(bundle))


def test_tls_is_kept_alive_too(make_server: MakeServer, make_client: MakeClient, certificates: Certificates) -> None:
    server = make_server(answering(response()), tls=certificates.trusted)
    client = make_client(server, ca_bundle=certificates.bundle)
    send(client)
    send(client)
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.parametrize("kind", ["self_signed", "for_another_host", "unknown_authority"])
def test_a_server_that_cannot_be_trusted_gets_nothing(
    make_server: MakeServer, make_client: MakeClient, certificates: Certificates, kind: str
) -> None:
    known = kind != "unknown_authority"
    tls = getattr(certificates, kind) if known else certificates.trusted
    server = make_server(answering(response()), tls=tls)
    with pytest.raises(Unanswered, match="TLS certificate") as caught:
        send(make_client(server, ca_bundle=certificates.bundle if known else None))
    assert not caught.value.written
    assert server.requests == []


def test_a_server_without_tls_gets_nothing(make_server: MakeServer, make_client: MakeClient) -> None:
    server = make_server(answering(response()))
    with pytest.raises(Unanswered) as caught:
        send(make_client(f"https://127.0.0.1:{server.port}", connect_timeout=0.5))
    assert not caught.value.written


def test_a_handshake_that_never_comes_ends(
    make_server: MakeServer, make_client: MakeClient, certificates: Certificates
) -> None:
    server = make_server(answering(response()), tls=certificates.trusted, before_handshake=lambda over: over.wait(60))
    started = clock()
    with pytest.raises(Unanswered, match="took too long") as caught:
        send(make_client(server, connect_timeout=0.3, total_timeout=100))
    assert not caught.value.written
    assert clock() - started < 10


def test_a_refused_connection_wrote_nothing(make_server: MakeServer, make_client: MakeClient) -> None:
    server = make_server()
    server.close()
    with pytest.raises(Unanswered, match="refused") as caught:
        send(make_client(server))
    assert not caught.value.written


def _tunnel(visit: Visit) -> None:
    """Do as a proxy does: connect, say so, and pass bytes both ways until one end is gone."""
    host, _, port = visit.request.split(b" ")[1].decode().rpartition(":")
    visit.sock.settimeout(None)
    with socket.create_connection((host, int(port)), 20) as upstream, selectors.DefaultSelector() as ready:
        visit.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ready.register(visit.sock, selectors.EVENT_READ, upstream)
        ready.register(upstream, selectors.EVENT_READ, visit.sock)
        while not visit.over.is_set():
            for key, _ in ready.select(0.1):
                data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                if not data:
                    with contextlib.suppress(OSError):
                        visit.sock.shutdown(socket.SHUT_RDWR)
                    return
                key.data.sendall(data)


def test_the_proxy_of_the_environment_is_read_once_and_used(
    make_server: MakeServer, make_client: MakeClient, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server(answering(response()), tls=certificates.trusted)
    proxy = make_server(_tunnel)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:pass@127.0.0.1:{proxy.port}")
    client = make_client(server, ca_bundle=certificates.bundle)
    monkeypatch.delenv("HTTPS_PROXY")
    send(client)
    send(client)
    assert proxy.requests[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1." % server.port)
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNz" in proxy.requests[0]
    assert (len(proxy.requests), proxy.connections) == (1, 1)
    assert (len(server.requests), server.connections) == (2, 1)
    assert b"roxy" not in server.requests[0]


def test_no_proxy_is_honoured(
    make_server: MakeServer, make_client: MakeClient, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server(answering(response()), tls=certificates.trusted)
    proxy = make_server(_tunnel)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = make_client(server, ca_bundle=certificates.bundle)
    monkeypatch.delenv("NO_PROXY")
    send(client)
    assert (proxy.connections, server.connections) == (0, 1)


def test_plain_http_to_this_machine_goes_through_no_proxy(
    make_server: MakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, proxy = make_server(answering(response())), make_server(_tunnel)
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    send(make_client(server))
    assert (proxy.connections, server.connections) == (0, 1)


REFUSING: dict[str, Script] = {
    "407": answering(response(b"", "407 Proxy Authentication Required")),
    "silence": silence,
    "closed": lambda visit: visit.sock.close(),
}


@pytest.mark.parametrize("script", REFUSING.values(), ids=REFUSING)
def test_a_proxy_that_does_not_connect_gets_no_request(
    make_server: MakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    proxy = make_server(script)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    started = clock()
    with pytest.raises(Unanswered) as caught:
        send(make_client("https://ccc.example", connect_timeout=0.3, total_timeout=100))
    assert not caught.value.written
    assert clock() - started < 10
    assert [request.split(b" ")[0] for request in proxy.requests] == [b"CONNECT"]


def test_a_proxys_time_counts_in_the_total(
    make_server: MakeServer, make_client: MakeClient, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = [0.0]

    def dawdle(visit: Visit) -> None:
        ahead[0] = 39.5
        _tunnel(visit)

    server = make_server(silence, tls=certificates.trusted, before_handshake=lambda over: over.wait(60))
    proxy = make_server(dawdle)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    client = make_client(server, connect_timeout=30, total_timeout=40)
    for module in ("transport", "client"):
        monkeypatch.setattr(f"worker.ccc.{module}.clock", lambda: clock() + ahead[0])
    started = clock()
    with pytest.raises(Unanswered) as caught:
        send(client)
    assert not caught.value.written
    assert clock() - started < 15


@pytest.mark.parametrize("proxy", ["socks5://127.0.0.1:1080", "http://", "http://a:port", "http://[::1", "ftp://a"])
def test_a_proxy_that_cannot_be_used_is_refused_at_start(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(BadEndpoint, match="HTTPS_PROXY"):
        CccClient("https://ccc.example")


def test_a_name_that_does_not_exist_is_unanswered(make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr("worker.ccc.names.socket.getaddrinfo", unknown)
    client = make_client("https://ccc.example")
    for _ in range(2):
        with pytest.raises(Unanswered, match="resolved") as caught:
            send(client)
        assert not caught.value.written


def test_a_look_up_that_hangs_keeps_nobody_and_is_made_once(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, calls = threading.Event(), []

    def hang(*arguments: Any, **_: Any) -> list[Any]:
        calls.append(arguments)
        over.wait(60)
        return []

    monkeypatch.setattr("worker.ccc.names.socket.getaddrinfo", hang)
    client = make_client("https://ccc.example", connect_timeout=0.3)

    def outcome(_: int) -> str:
        with pytest.raises(Unanswered) as caught:
            send(client)
        return str(caught.value)

    started = clock()
    with ThreadPoolExecutor(4) as threads:
        outcomes = list(threads.map(outcome, range(4)))
    over.set()
    assert clock() - started < 10
    assert len(calls) == 1
    assert all("took too long" in text for text in outcomes)


def test_the_next_address_is_tried(
    make_server: MakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server(answering(response()))
    # Nobody listens on the second loopback address.
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, server.port)) for host in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr("worker.ccc.names.socket.getaddrinfo", lambda *_, **__: found)
    assert send(make_client(server)).code == "OK"
