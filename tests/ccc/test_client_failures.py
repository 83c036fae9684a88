"""The client against a server that dawdles, lies and dies, and against the clock."""

import gzip
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ccc.certificates import Certificates
from tests.ccc.conftest import MakeClient, MakeServer
from tests.ccc.presses import send
from tests.ccc.wire import OK_BODY, Script, Visit, answering, closing_after, response, serving, silence
from worker.ccc.client import CccClient
from worker.ccc.errors import ApiError, TooLate, Unanswered
from worker.clock import clock


def _endless_continue(visit: Visit) -> None:
    while not visit.over.wait(0.01):
        visit.send(b"HTTP/1.1 100 Continue\r\n\r\n")


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n"


def _trickling_body(visit: Visit) -> None:
    visit.send(_HEAD + b"\r\n")
    visit.trickle(b" " * 1000, 0.05)


def _trickling_chunks(visit: Visit) -> None:
    visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    visit.trickle(b"1\r\n \r\n" * 200, 0.05)


TOO_SLOW: dict[str, Script] = {
    "silence": silence,
    "status line": lambda visit: visit.trickle(b"HTTP/1.1 200 " + b"O" * 1000, 0.05),
    "headers": lambda visit: visit.trickle(_HEAD + b"X-A: b\r\n" * 200, 0.05),
    "body": _trickling_body,
    "chunks": _trickling_chunks,
    "endless 100 Continue": _endless_continue,
}


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("script", TOO_SLOW.values(), ids=TOO_SLOW)
def test_an_answer_that_trickles_ends_at_the_total(
    make_server: MakeServer,
    make_client: MakeClient,
    certificates: Certificates,
    script: Script,
    tls: bool,
) -> None:
    server = make_server(script, answering(response()), tls=certificates.trusted if tls else None)
    bundle = certificates.bundle if tls else None
    client = make_client(server, total_timeout=0.5, ca_bundle=bundle)
    started = clock()
    with pytest.raises(Unanswered, match="took too long") as caught:
        send(client)
    assert 0.4 < clock() - started < 10
    assert caught.value.written
    assert len(server.requests) == 1


def test_the_read_timeout_ends_asilence_before_the_total(make_server: MakeServer, make_client: MakeClient) -> None:
    server = make_server(silence)
    started = clock()
    with pytest.raises(Unanswered, match="took too long"):
        send(make_client(server, read_timeout=0.2, total_timeout=100))
    assert clock() - started < 10


BROKEN: dict[str, Script] = {
    "closed at once": lambda visit: visit.sock.close(),
    "reset": Visit.reset,
    "half a status line": closing_after(b"HTTP/1."),
    "half the headers": closing_after(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "no headers": closing_after(b"HTTP/1.1 200 OK\r\n\r\n"),
    "half the body": closing_after(response()[:-5]),
    "half a chunk": closing_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"),
    "bad chunk": closing_after(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
    "not http": closing_after(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "bad length": closing_after(b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n"),
    "two lengths": closing_after(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}"),
    "long header": closing_after(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"),
    "many headers": closing_after(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n"),
    "no json": answering(response(b"<html>13188888888</html>", "200 OK", "Content-Type: text/html")),
    "proxy page": answering(response(b"<html></html>", "502 Bad Gateway", "Content-Type: text/html")),
    "list": answering(response(b"[]")),
    "empty": answering(response(b"", "204 No Content")),
    "compressed": answering(response(gzip.compress(OK_BODY), "200 OK", "Content-Encoding: gzip")),
    "gzip bomb": answering(response(gzip.compress(b"{" * 10**8), "302 Found", "Content-Encoding: gzip", "Location: /")),
    "over a mebibyte": answering(response(OK_BODY + b" " * (1 << 20))),
    "invalid header": closing_after(b"HTTP/1.1 200 OK\r\nNo colon 13188888888\r\nContent-Length: 2\r\n\r\n{}"),
    "continued status line": closing_after(b"HTTP/1.1 200 OK\r\n 13188888888\r\nContent-Length: 2\r\n\r\n{}"),
    "invalid header with answer": answering(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n 13188888888\r\n: odd\r\n\r\n{}"
    ),
}


@pytest.mark.parametrize("script", BROKEN.values(), ids=BROKEN)
def test_whatever_is_no_answer_is_unanswered_and_sent_once(
    make_server: MakeServer, make_client: MakeClient, script: Script
) -> None:
    server = make_server(script, answering(response()))
    client = make_client(server)
    with pytest.raises(Unanswered, match="under the same nonce") as caught:
        send(client)
    assert caught.value.written
    assert len(server.requests) == 1
    assert send(client).code == "OK"
    assert server.connections == 2


def test_an_endless_answer_is_not_read_to_its_end(make_server: MakeServer, make_client: MakeClient) -> None:
    def flood(visit: Visit) -> None:
        visit.send(b"HTTP/1.1 200 OK\r\n\r\n{")
        while not visit.over.is_set():
            visit.send(b" " * 65536)

    started = clock()
    with pytest.raises(Unanswered, match="over 1048576 bytes"):
        send(make_client(make_server(flood), total_timeout=60))
    assert clock() - started < 30


def test_any_bytes_at_all_end_in_an_answer_or_an_error_of_the_hierarchy() -> None:
    data: list[bytes] = [b""]

    def script(visit: Visit) -> None:
        closing_after(data[0])(visit)

    with serving(script) as server:
        client = CccClient(f"http://127.0.0.1:{server.port}")
        pieces = st.sampled_from(
            [b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n", b"\r\n", b"{}", b"0", b"\xff", b"{"]
        )
        heads = st.sampled_from([b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 500 \r\n", b""])

        @settings(max_examples=150, deadline=None)
        @given(heads, st.lists(pieces | st.binary(max_size=20), max_size=8))
        def check(head: bytes, parts: list[bytes]) -> None:
            data[0] = head + b"".join(parts)
            with pytest.raises(ApiError):
                send(client)

        check()
        client.close()


def test_a_key_after_its_deadline_is_not_sent(make_server: MakeServer, make_client: MakeClient) -> None:
    server = make_server(answering(response()))
    client = make_client(server)
    send(client)
    with pytest.raises(TooLate):
        send(client, not_after=clock())
    with pytest.raises(TooLate):
        send(make_client(server), not_after=clock() - 1)
    assert len(server.requests) == 1


def test_a_deadline_that_passes_while_the_connection_is_made_is_seen(
    make_server: MakeServer, make_client: MakeClient, certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handshake itself is quick here, so that no time-out of the connection is what ends it."""
    ahead = [0.0]
    for module in ("transport", "client"):
        monkeypatch.setattr(f"worker.ccc.{module}.clock", lambda: clock() + ahead[0])

    def deadline_passes(_: threading.Event) -> None:
        ahead[0] = 4.0

    server = make_server(answering(response()), tls=certificates.trusted, before_handshake=deadline_passes)
    client = make_client(server, ca_bundle=certificates.bundle)
    with pytest.raises(TooLate):
        send(client, not_after=clock() + 3)
    assert server.connections == 1
    assert server.requests == []


def test_connecting_goes_on_no_longer_than_to_the_deadline(
    make_server: MakeServer, make_client: MakeClient, certificates: Certificates
) -> None:
    server = make_server(silence, tls=certificates.trusted, before_handshake=lambda over: over.wait(60))
    client = make_client(server, connect_timeout=100, total_timeout=100)
    started = clock()
    with pytest.raises(TooLate):
        send(client, not_after=clock() + 0.3)
    assert clock() - started < 10
