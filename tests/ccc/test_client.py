"""What the client writes, and what it makes of its connections."""

import http.cookies
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.ccc.conftest import MakeClient, MakeServer
from tests.ccc.presses import CREDENTIALS, NONCE, PRESS, TEMPORARY, send
from tests.ccc.wire import OK_BODY, Visit, answering, closing_after, response
from worker.ccc.client import KeyPress
from worker.ccc.credentials import Credentials
from worker.ccc.errors import (
    BadKeyPress,
    Gone,
    NotExecuted,
    Unanswered,
)
from worker.ccc.signing import canonical_query, v1_signature, v3_authorization
from worker.clock import clock


def _request_line_and_headers(request: bytes) -> tuple[list[str], dict[str, str]]:
    line, *rest = request.decode("ascii").split("\r\n")
    return line.split(" "), {name.lower(): text for name, _, text in (one.partition(": ") for one in rest) if text}


@pytest.mark.parametrize("credentials", [CREDENTIALS, TEMPORARY], ids=["static", "temporary"])
def test_a_v3_request_is_as_the_vendors_sdk_sends_it(
    make_server: MakeServer, make_client: MakeClient, credentials: Credentials
) -> None:
    server = make_server(answering(response()))
    answer = send(make_client(server), credentials=credentials)
    assert answer.request_id == "AB-1"
    (method, target, version), headers = _request_line_and_headers(server.requests[0])
    assert (method, version) == ("POST", "HTTP/1.1")
    assert target == "/?" + canonical_query(PRESS.params())
    assert headers["content-length"] == "0"
    assert headers["accept-encoding"] == "identity"
    assert headers["x-acs-signature-nonce"] == NONCE
    assert headers["x-acs-date"] == "2026-01-02T03:04:05Z"
    signed = {name: text for name, text in headers.items() if name == "host" or name.startswith("x-acs-")}
    assert ("x-acs-security-token" in signed) == (credentials is TEMPORARY)
    assert headers["authorization"] == v3_authorization("POST", "/", target[2:], signed, credentials)


@pytest.mark.parametrize("credentials", [CREDENTIALS, TEMPORARY], ids=["static", "temporary"])
def test_a_v1_request_has_everything_in_the_query(
    make_server: MakeServer, make_client: MakeClient, credentials: Credentials
) -> None:
    server = make_server(answering(response()))
    send(make_client(server, signature="v1"), credentials=credentials)
    (_, target, _), headers = _request_line_and_headers(server.requests[0])
    query = dict(parse_qsl(urlsplit(target).query, strict_parsing=True))
    assert query.pop("Signature") == v1_signature("POST", query, credentials.access_key_secret)
    assert query.items() >= PRESS.params().items()
    assert query["Action"] == "SendDtmfSignaling"
    assert query.get("SecurityToken") == credentials.security_token
    assert "authorization" not in headers


def test_an_optional_id_that_is_empty_is_left_out(make_server: MakeServer, make_client: MakeClient) -> None:
    server = make_server(answering(response()))
    send(make_client(server), press=KeyPress("c", "j", "*", "i", "", ""))
    assert server.requests[0].startswith(b"POST /?ChannelId=c&Dtmf=%2A&InstanceId=i&JobId=j HTTP/1.1\r\n")


def test_one_connection_serves_many_keys(make_server: MakeServer, make_client: MakeClient) -> None:
    error = response(b'{"Code": "Throttling"}', "400 Bad Request", "X-Acs-Retry-After: 250")
    server = make_server(answering(response()), answering(error), answering(response()))
    client = make_client(server)
    send(client)
    with pytest.raises(NotExecuted) as caught:
        send(client)
    assert caught.value.retry_after_ms == 250
    send(client)
    assert (server.connections, len(server.requests)) == (1, 3)


def test_chunked_answers_are_read_and_keep_the_connection(make_server: MakeServer, make_client: MakeClient) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked = head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(OK_BODY), OK_BODY)
    server = make_server(answering(chunked))
    client = make_client(server)
    assert send(client).code == "OK"
    assert send(client).code == "OK"
    assert server.connections == 1


def test_an_answer_that_ends_with_its_connection_is_read(make_server: MakeServer, make_client: MakeClient) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    server = make_server(closing_after(head + OK_BODY))
    client = make_client(server)
    assert send(client).code == "OK"
    assert send(client).code == "OK"
    assert server.connections == 2


def test_a_connection_that_the_server_closed_while_idle_is_not_written_to(
    make_server: MakeServer, make_client: MakeClient
) -> None:
    closed = threading.Event()

    def answer_and_close(visit: Visit) -> None:
        visit.send(response())
        visit.sock.close()
        closed.set()

    server = make_server(answer_and_close, answering(response()))
    client = make_client(server)
    send(client)
    assert closed.wait(20)
    send(client)
    assert (server.connections, len(server.requests)) == (2, 2)


def test_a_connection_that_rested_long_is_not_written_to(
    make_server: MakeServer, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server(answering(response()))
    client = make_client(server)
    send(client)
    monkeypatch.setattr("worker.ccc.transport.clock", lambda: clock() + 31)
    monkeypatch.setattr("worker.ccc.client.clock", lambda: clock() + 31)
    send(client, not_after=clock() + 60)
    assert server.connections == 2


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout"])
def test_a_connection_that_gave_no_answer_of_the_api_is_not_used_again(
    make_server: MakeServer, make_client: MakeClient, status: str
) -> None:
    page = response(b"<html></html>", status, "Content-Type: text/html", "Retry-After: 0")
    server = make_server(answering(page), answering(response()))
    client = make_client(server)
    with pytest.raises(Unanswered) as caught:
        send(client)
    assert caught.value.http_status == int(status[:3])
    assert caught.value.written
    assert len(server.requests) == 1
    assert send(client).code == "OK"
    assert server.connections == 2


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
def test_no_redirect_is_followed(make_server: MakeServer, make_client: MakeClient, status: str) -> None:
    other = make_server(answering(response()))
    moved = response(b"", status, f"Location: http://127.0.0.1:{other.port}/", "Content-Type: text/html")
    server = make_server(answering(moved))
    with pytest.raises(Unanswered, match=status[:3]):
        send(make_client(server))
    assert len(server.requests) == 1
    assert other.connections == 0


def test_a_code_in_a_redirect_is_read_before_its_status(make_server: MakeServer, make_client: MakeClient) -> None:
    server = make_server(answering(response(b'{"Code": "Throttling"}', "302 Found", "Location: http://[")))
    with pytest.raises(NotExecuted):
        send(make_client(server))


def test_cookies_are_not_kept(make_server: MakeServer, make_client: MakeClient) -> None:
    cookie = http.cookies.SimpleCookie({"acw_tc": "1"}).output()
    server = make_server(answering(response(OK_BODY, "200 OK", cookie)))
    client = make_client(server)
    send(client)
    send(client)
    assert b"ookie" not in server.requests[1]
    assert len(client._session.cookies) == 0


def test_an_error_of_the_api_is_raised_as_its_class(make_server: MakeServer, make_client: MakeClient) -> None:
    server = make_server(answering(response(b'{"Code": "NotExists.JobId", "RequestId": "A-9"}', "404 Not Found")))
    with pytest.raises(Gone) as caught:
        send(make_client(server))
    assert (caught.value.code, caught.value.http_status, caught.value.request_id) == ("NotExists.JobId", 404, "A-9")


def test_threads_get_their_own_answers(make_server: MakeServer, make_client: MakeClient) -> None:
    def echo(visit: Visit) -> None:
        nonce = _request_line_and_headers(visit.request)[1]["x-acs-signature-nonce"]
        visit.send(response(json.dumps({"Code": "OK", "RequestId": nonce}).encode()))

    server = make_server(echo)
    client = make_client(server, pool_size=8)
    nonces = [f"nonce-{number:026}" for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda nonce: send(client, nonce=nonce), nonces))
    assert [answer.request_id for answer in answers] == nonces
    assert server.connections <= 8


def test_as_many_connections_are_kept_as_requests_are_made_at_a_time(
    make_server: MakeServer, make_client: MakeClient
) -> None:
    together = threading.Barrier(4, timeout=30)

    def answer_when_all_are_there(visit: Visit) -> None:
        together.wait()
        visit.send(response())

    server = make_server(answer_when_all_are_there)
    client = make_client(server, pool_size=4)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            list(threads.map(lambda _: send(client), range(4)))
    assert (server.connections, len(server.requests)) == (4, 12)


@pytest.mark.parametrize("dtmf", ["", "12", "A", "w", "\uff11", "1 "])
def test_a_press_is_one_key(dtmf: str) -> None:
    with pytest.raises(BadKeyPress):
        KeyPress("c", "j", dtmf, "i", "u", "d")


def test_a_press_that_cannot_be_encoded_is_refused_without_being_quoted() -> None:
    with pytest.raises(BadKeyPress) as caught:
        KeyPress("ch:13188888888\ud800", "j", "1", "i", "u", "d")
    assert "13188888888" not in str(caught.value)
