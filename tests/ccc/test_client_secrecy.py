"""No failure, log line or traceback shows the key, a phone number, a channel id or a URL."""

import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.ccc.certificates import Certificates
from tests.ccc.conftest import MakeClient, MakeServer
from tests.ccc.presses import PRESS, TEMPORARY, send
from tests.ccc.test_client_failures import BROKEN, TOO_SLOW
from tests.ccc.wire import Script, answering, response
from worker.ccc.errors import ApiError, TooLate, Unanswered
from worker.clock import clock

CODES = ["NotExists.ChannelId", "InvalidX", "Forbidden", "Throttling", "InternalError", "SignatureNonceUsed"]
QUOTING = b'"Message": "The specified channel ch:customer:13188888888 does not exist in call job-65735740600893440."'
ERRORS: dict[str, Script] = {
    code: answering(response(b'{"Code": "%b", %b}' % (code.encode(), QUOTING), "400 Bad Request")) for code in CODES
}
FAILURES = {**BROKEN, **TOO_SLOW, **ERRORS}

MARKERS = [
    "13188888888",
    "01089898989",
    "65735740600893440",
    "1609234221870",
    "ch:",
    "ch%3A",
    "#",
    "%23",
    "Dtmf=",
    "user-test",
    "bse05179638553000176",
    TEMPORARY.access_key_secret,
    TEMPORARY.security_token or "",
]


def _everything(error: BaseException) -> Iterator[str]:
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None:
            continue
        yield f"{one} {one!r} {one.args} {vars(one)}"
        waiting += [one.__cause__, one.__context__, *(part for part in one.args if isinstance(part, BaseException))]
    yield "".join(traceback.format_exception(error))
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if "/worker/" in frame.f_code.co_filename or "site-packages" in frame.f_code.co_filename:
            yield repr(frame.f_locals)


def _assert_clean(error: BaseException | None = None, *logged: str) -> None:
    texts = list(_everything(error)) if error else []
    # The endpoint alone may be logged: it is what the query string adds that is secret.
    assert not any("://" in text for text in texts)
    for text in [*texts, *logged]:
        for marker in MARKERS:
            assert marker not in text


@pytest.mark.parametrize("signature", ["v3", "v1"])
@pytest.mark.parametrize("script", FAILURES.values(), ids=FAILURES)
def test_no_failure_shows_what_was_sent_or_answered(
    make_server: MakeServer,
    make_client: MakeClient,
    caplog: pytest.LogCaptureFixture,
    signature: str,
    script: Script,
) -> None:
    caplog.set_level(logging.DEBUG)
    server = make_server(script)
    client = make_client(server, signature=signature, total_timeout=0.5)
    with pytest.raises(ApiError) as caught:
        send(client, credentials=TEMPORARY)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    _assert_clean(caught.value, *(record.getMessage() + str(record.exc_text) for record in caplog.records))


def test_no_failure_to_connect_shows_anything(
    make_server: MakeServer,
    make_client: MakeClient,
    certificates: Certificates,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    nobody = make_server()
    nobody.close()
    untrusted = make_server(tls=certificates.self_signed)
    for server in (nobody, untrusted):
        with pytest.raises(Unanswered) as caught:
            send(make_client(server, ca_bundle=certificates.bundle), credentials=TEMPORARY)
        assert not caught.value.written
        _assert_clean(caught.value)
    monkeypatch.setenv("HTTPS_PROXY", f"http://user-test:13188888888@127.0.0.1:{nobody.port}")
    client = make_client("https://ccc.example")
    with pytest.raises(Unanswered) as caught:
        send(client, credentials=TEMPORARY)
    _assert_clean(caught.value, caplog.text)


def test_a_key_that_comes_too_late_is_not_shown(make_server: MakeServer, make_client: MakeClient) -> None:
    client = make_client(make_server(answering(response())))
    with pytest.raises(TooLate) as caught:
        send(client, credentials=TEMPORARY, not_after=clock() - 1)
    _assert_clean(caught.value)


def test_success_is_not_logged(
    make_server: MakeServer, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    send(make_client(make_server(answering(response()))))
    _assert_clean(None, caplog.text)


@pytest.mark.parametrize("script", FAILURES.values(), ids=FAILURES)
def test_a_failure_reads_the_same_whatever_the_key(
    make_server: MakeServer, make_client: MakeClient, script: Script
) -> None:
    """Digits stand in a text for other reasons too (HTTP 502), so it is compared and not searched."""
    client = make_client(make_server(script), total_timeout=0.3)
    texts = set()
    for key in "027":
        with pytest.raises(ApiError) as caught:
            send(client, press=replace(PRESS, dtmf=key))
        texts.add(str(caught.value.args))
    assert len(texts) == 1


def test_no_repr_shows_a_press() -> None:
    assert repr(PRESS) == "KeyPress()"
