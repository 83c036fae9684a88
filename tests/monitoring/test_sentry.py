"""What Sentry is sent: one of a kind a minute, by a command that crashes, by a producer that uses our scrubber."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from tests.fleet.harness import until
from tests.monitoring.catcher import SentryCatcher
from tests.monitoring.conftest import CALLED, CALLER, PIN
from worker.dial import parse_dial
from worker.errors import InvalidTask
from worker.local.processes import Child
from worker.monitoring import sentry
from worker.monitoring.reports import report_refused
from worker.vault import new_secret_key

CHANNEL = f"ch:customer:{CALLER}->{CALLED}:1609234221870:job-1"
SECRETS = (PIN, PIN[:6], CALLER, CALLED, "job-")


class Held:
    """An event as Sentry's SDK hands it over before it sends it."""

    def __init__(self, message: Any, *args: Any) -> None:
        record = logging.LogRecord("worker", logging.ERROR, __file__, 1, message, args, None)
        self.hint = {"log_record": record}
        self.event: Any = {"event_id": "1", "extra": {"data": PIN}, "logentry": {"message": PIN, "params": [PIN]}}


def test_of_a_kind_one_a_minute_is_sent_with_the_count_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(sentry, "clock", lambda: now)
    send, held = sentry._Sender(), Held("cannot do %s", PIN)
    assert send(held.event, held.hint)["message"] == "test_sentry.None: cannot do %s"
    assert send(held.event, held.hint) is None
    assert send(held.event, held.hint) is None
    other = Held("cannot do that either: %s", PIN)
    assert send(other.event, other.hint)
    now += 61
    assert send(held.event, held.hint)["tags"] == {"held_back": "2"}


def test_a_librarys_line_is_sent_without_its_arguments() -> None:
    for held in (Held("cannot send %s", PIN), Held(f"cannot send {PIN}")):
        assert PIN not in json.dumps(sentry._Sender()(held.event, held.hint))


def test_the_alarm_is_one_line_for_the_operator_and_one_event(caplog: pytest.LogCaptureFixture) -> None:
    report_refused("InvalidAccessKeyId.NotFound", "The API refuses this account.")
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert record.getMessage().startswith("alarm.refused code=InvalidAccessKeyId.NotFound reason=")
    sent = sentry._Sender()({"level": "fatal"}, {"log_record": record})
    assert sent["fingerprint"] == ["alarm.refused", "None", "InvalidAccessKeyId.NotFound"]
    assert sent["tags"]["code"] == "InvalidAccessKeyId.NotFound"
    assert "The API refuses this account." in sent["message"]


# A command


CRASH = f"""
import sys
import worker.producer
from worker.cli import main

def crash(*_, **options):
    raise LookupError(str(options))

worker.producer.SendDtmf.apply_async = crash
sys.argv = ["dtmf", "send", "--channel", "{CHANNEL}", "--job", "job-1", "{PIN}"]
main()
"""


def test_a_command_that_crashes_is_reported_without_its_arguments(tmp_path: Path) -> None:
    with SentryCatcher() as catcher:
        env = {"REDIS_URL": "redis://127.0.0.1:1/0", "DTMF_SECRET_KEYS": new_secret_key(), "SENTRY_DSN": catcher.dsn}
        with Child([sys.executable, "-c", CRASH], env=env, log=tmp_path / "log") as command:
            assert command.wait() == 1
        until(catcher.events, "an event")
        (event,) = catcher.events()
        assert event["exception"]["values"][0]["type"] == "LookupError"
        assert [secret for secret in SECRETS for text in catcher.texts if secret in text] == []


# A producer with a Sentry of its own


class Kept(Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[Any] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.events.append(envelope.get_event())


@pytest.fixture(params=[None, sentry.scrub], ids=["as it is", "scrubbed"])
def crm(request: pytest.FixtureRequest) -> Iterator[tuple[Kept, bool]]:
    """A CRM's Sentry, without and with the scrubber."""
    kept = Kept()
    client = sentry_sdk.Client(
        "http://key@127.0.0.1:1/1", transport=kept, before_send=request.param, default_integrations=False
    )
    with sentry_sdk.isolation_scope() as isolation, sentry_sdk.new_scope() as scope:
        isolation.set_client(client)
        scope.set_client(client)
        yield kept, request.param is not None
    client.close()


def test_our_errors_come_without_variables_where_a_producer_scrubs(crm: tuple[Kept, bool]) -> None:
    kept, scrubbed = crm
    pin = f"{PIN}x"
    try:
        parse_dial(pin)
    except InvalidTask as error:
        sentry_sdk.capture_exception(error)
    assert (PIN[:6] in json.dumps(kept.events)) is not scrubbed
    assert len(kept.events) == 1


def test_a_producers_own_errors_are_left_as_they_are(crm: tuple[Kept, bool]) -> None:
    kept, _ = crm
    order = "order-1"
    try:
        order.index("x")
    except ValueError as error:
        sentry_sdk.capture_exception(error)
    assert "order-1" in json.dumps(kept.events)
