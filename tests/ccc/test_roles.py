"""Credentials of roles: the vendor's library against a server that stands in for STS and for the metadata service.

STS is pointed to by its endpoint. The metadata service's address is fixed in the library, so that the server is
given as the proxy on the way to it.
"""

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from Tea.core import TeaCore

from tests.ccc.conftest import MakeServer
from tests.ccc.wire import Script, Server, answering, closing_after, response, silence
from worker.ccc import Credentials, NoCredentials
from worker.ccc.refreshing import Source
from worker.ccc.roles import MachineRole, ServiceAccountRole

TOKEN = "eyJhbGciOi.service-account.token"
SECRET = "its-secret-key"
GIVEN = {
    "AccessKeyId": "STS.NUgYrLnoC37mZZCNnAbez",
    "AccessKeySecret": SECRET,
    "SecurityToken": "CAIS+the/token==",
    "Expiration": "2096-05-26T05:26:31Z",
}
EXPECTED = Credentials(GIVEN["AccessKeyId"], SECRET, GIVEN["SecurityToken"])
EXPIRES_AT = 3988848391.0
LONG_AGO = {**GIVEN, "Expiration": "2016-05-26T05:26:31Z"}
METADATA = "http://100.100.100.200/latest"

MakeSource = Callable[[Server], Source]


@pytest.fixture(autouse=True)
def _closed_sessions() -> Iterator[None]:
    """The library keeps its connections for ever."""
    yield
    for session in TeaCore._sessions.values():
        session.close()
    TeaCore._sessions.clear()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    return path


@pytest.fixture
def service_account(token_file: Path) -> MakeSource:
    def make(server: Server) -> Source:
        return ServiceAccountRole(
            "acs:ram::1:role/dtmf",
            "acs:ram::1:oidc-provider/ack",
            str(token_file),
            f"http://127.0.0.1:{server.port}",
        )

    return make


def machine(server: Server) -> Source:
    return MachineRole("dtmf-role", f"http://127.0.0.1:{server.port}")


@pytest.fixture(params=["service account", "machine"])
def make_source(request: pytest.FixtureRequest, service_account: MakeSource) -> MakeSource:
    """Either kind of source; the answers of the two differ, see told."""
    return service_account if request.param == "service account" else machine


def told(fields: object, status: str = "200 OK") -> Script:
    """What both services answer, in one."""
    return answering(response(json.dumps(fields).encode(), status))


def both(given: dict[str, Any]) -> dict[str, Any]:
    return {"RequestId": "AB-1", "Code": "Success", "Credentials": given, **given}


def lines(server: Server) -> list[tuple[str, str]]:
    """Method and target of each request."""
    return [(head.split()[0].decode(), head.split()[1].decode()) for head in server.requests]


def test_sts_gives_credentials_for_the_service_accounts_token(
    make_server: MakeServer, service_account: MakeSource, token_file: Path
) -> None:
    server = make_server(told(both(GIVEN)))
    source = service_account(server)
    found = source.fetch()
    assert found.credentials == EXPECTED
    assert found.expires_at == EXPIRES_AT
    token_file.write_text("the-next-token")
    source.fetch()
    asked = [parse_qs(urlsplit(target).query) for _, target in lines(server)]
    assert [query["OIDCToken"] for query in asked] == [[TOKEN], ["the-next-token"]]
    assert asked[0]["Action"] == ["AssumeRoleWithOIDC"]
    assert asked[0]["RoleArn"] == ["acs:ram::1:role/dtmf"]
    assert asked[0]["OIDCProviderArn"] == ["acs:ram::1:oidc-provider/ack"]


def test_the_metadata_service_gives_credentials_of_the_machines_role(make_server: MakeServer) -> None:
    server = make_server(answering(response(b"a-session-token")), told(both(GIVEN)))
    found = machine(server).fetch()
    assert found.credentials == EXPECTED
    assert found.expires_at == EXPIRES_AT
    assert lines(server) == [
        ("PUT", f"{METADATA}/api/token"),
        ("GET", f"{METADATA}/meta-data/ram/security-credentials/dtmf-role"),
    ]
    assert b"a-session-token" in server.requests[1]


def test_a_source_asks_anew_each_time_and_leaves_no_thread(make_server: MakeServer, make_source: MakeSource) -> None:
    """The library would keep what it got until 15 minutes before it expires, and for a machine start a scheduler."""
    server = make_server(told(both(GIVEN)))
    source = make_source(server)
    source.fetch()
    asked, before = len(server.requests), {thread.name for thread in threading.enumerate()}
    assert source.fetch().credentials == EXPECTED
    assert len(server.requests) == 2 * asked
    assert not any("apscheduler" in name.lower() or "refresh" in name for name in before)


FAILURES: dict[str, tuple[Script, str]] = {
    "refused": (
        told({"Code": "AuthenticationFail.OIDCToken.Expired", "Message": TOKEN}, "400 Bad Request"),
        "refuses (HTTP 400",
    ),
    "no such role": (told({"Code": "EntityNotExist.Role", "Message": SECRET}, "404 Not Found"), "refuses (HTTP 404"),
    "a page": (answering(response(b"<html>" + SECRET.encode(), "502 Bad Gateway")), "refuses (HTTP 502"),
    "a page that says 200": (answering(response(b"<html>" + SECRET.encode())), "holds no credentials"),
    "not UTF-8": (answering(response(b"\xff" + SECRET.encode())), "holds no credentials"),
    "a list": (told([SECRET]), "holds no credentials"),
    "nothing in it": (told({"Code": "Success", "Secret": SECRET}), "holds no credentials"),
    "nulls": (told(both(dict.fromkeys(GIVEN))), "holds no credentials"),
    "an empty key": (told(both({**GIVEN, "AccessKeyId": ""})), "holds no credentials"),
    "a line break": (told(both({**GIVEN, "AccessKeySecret": f"{SECRET}\n"})), "holds no credentials"),
    "no date": (told(both({**GIVEN, "Expiration": SECRET})), "holds no credentials"),
    "expired": (told(both(LONG_AGO)), "check the clock"),
    "cut off": (closing_after(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"), "no answer from"),
    "closed": (closing_after(b""), "no answer from"),
    "not HTTP": (closing_after(SECRET.encode() + b"\r\n\r\n"), "no answer from"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_source_that_gives_none_says_why_and_shows_no_secret(
    make_server: MakeServer,
    make_source: MakeSource,
    failure: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    script, expected = FAILURES[failure]
    caplog.set_level(logging.DEBUG)
    source = make_source(make_server(script))
    with pytest.raises(NoCredentials) as caught:
        source.fetch()
    assert expected in str(caught.value)
    assert caught.value.__context__ is None
    shown = f"{caught.value!r} {caplog.text} {''.join(capfd.readouterr())}"
    assert TOKEN not in shown
    assert SECRET not in shown


def test_the_code_of_sts_is_named(make_server: MakeServer, service_account: MakeSource) -> None:
    script, _ = FAILURES["refused"]
    with pytest.raises(NoCredentials, match=r"HTTP 400, code AuthenticationFail\.OIDCToken\.Expired"):
        service_account(make_server(script)).fetch()


def test_requests_that_succeed_are_not_logged_either(
    make_server: MakeServer, make_source: MakeSource, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3 logs each URL at DEBUG, and in that of STS stands the token."""
    caplog.set_level(logging.DEBUG)
    make_source(make_server(told(both(GIVEN)))).fetch()
    assert caplog.text == ""


def test_a_service_that_is_not_there_or_silent_is_told_apart(make_server: MakeServer, token_file: Path) -> None:
    nobody = make_server(silence)
    nobody.close()
    with pytest.raises(NoCredentials, match="no answer from STS: the connection was refused"):
        ServiceAccountRole("arn", "arn", str(token_file), f"http://127.0.0.1:{nobody.port}").fetch()
    with pytest.raises(NoCredentials, match="no answer from the metadata service: it took too long"):
        machine(make_server(silence)).fetch()


def test_a_token_file_that_is_missing_is_named(token_file: Path) -> None:
    path = token_file.with_name("absent")
    with pytest.raises(NoCredentials, match=f"{path} cannot be read"):
        ServiceAccountRole("arn", "arn", str(path)).fetch()


def test_the_library_is_loaded_by_a_worker_with_a_role_alone() -> None:
    """It reads its environment while it is imported, and brings aiohttp and a scheduler with it."""
    program = "import sys, worker.fleet.boot; sys.exit('alibabacloud_credentials' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
