"""Sentry, in the processes of our own where SENTRY_DSN is set. docs/logs.md says what is sent.

An event is made anew from what is known to be safe. Nothing else of what Sentry collects leaves the process: no
variables, no arguments of the process, no breadcrumbs, no traces, no logs, no text of an exception of which we do not
know what it holds.
"""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.integrations.threading import ThreadingIntegration
from sentry_sdk.utils import BadDsn

from config.settings import Settings, SettingsError
from worker import __version__
from worker.clock import clock
from worker.monitoring.logs import Event

if TYPE_CHECKING:
    from sentry_sdk.types import Event as SentryEvent
    from sentry_sdk.types import Hint

_QUIET_S = 60.0
_MOST_KEYS = 1000
_LEFT_OUT = "(its text is left out: it may hold personal data)"
# Packages whose exceptions hold no digit, phone number or password in their text.
_SAFE_TEXTS = ("worker", "config", "redis")
_EVENT_KEYS = (
    "event_id", "timestamp", "platform", "level", "logger", "message", "tags", "fingerprint",
    "release", "environment", "server_name", "sdk",
)  # fmt: skip
_FRAME_KEYS = ("filename", "function", "module", "lineno", "pre_context", "context_line", "post_context", "in_app")


def start_sentry(settings: Settings) -> None:
    """Report this process's faults, if SENTRY_DSN is set. For processes of our own: a worker, a command."""
    if settings.SENTRY_DSN is None:
        return
    sentry_sdk.init(
        dsn=settings.SENTRY_DSN.get_secret_value(),
        environment=settings.SENTRY_ENVIRONMENT,
        release=settings.SENTRY_RELEASE or f"ccc-dtmf-worker@{__version__}",
        # Of the integrations only those that see faults: the others see requests, arguments and messages.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[
            LoggingIntegration(level=None, event_level=logging.ERROR, sentry_logs_level=None),
            ExcepthookIntegration(),
            ThreadingIntegration(propagate_scope=False),
            AtexitIntegration(callback=lambda *_: None),
        ],
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        spotlight=False,
        before_send=_Sender(),
        before_send_transaction=_nothing,
        before_breadcrumb=_nothing,
    )


def start_for_command() -> None:
    """The same for a command, which may need no settings: where they are not right, it goes without."""
    with suppress(SettingsError, BadDsn):
        start_sentry(Settings.load(worker=False))


def capture_failure(facts: Mapping[str, Any]) -> None:
    """Send that a task failed: one group in Sentry for each class and code, the facts as tags. Without init, nothing.

    facts: fields as in docs/logs.md; error and code make the group.
    """
    error, code = facts.get("error"), facts.get("code") or "no answer from the API"
    sentry_sdk.capture_event(
        {
            "level": "error",
            "logger": "worker",
            "message": f"{error} ({code})",
            "tags": {name: str(value) for name, value in facts.items() if value is not None},
            "fingerprint": ["task", str(error), str(code)],
        }
    )


def scrub(event: "SentryEvent", hint: "Hint") -> "SentryEvent":  # noqa: ARG001 - Sentry's signature
    """before_send for a producer's own Sentry: takes the variables out of tracebacks that lead through this package.

    They hold digits and phone numbers, in the producer's frames too. Every other event is left as it is.
    """
    stacks = [part.get("stacktrace") or {} for part in _values(event, "exception")]
    if any(str(frame.get("module")).startswith("worker.") for stack in stacks for frame in stack.get("frames") or ()):
        for stack in stacks:
            for frame in stack.get("frames") or ():
                frame.pop("vars", None)
    return event


class _Sender:
    """before_send: what is safe of an event, and of each kind one a minute; it counts those that it holds back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[tuple[str, ...], tuple[float, int]] = {}

    def __call__(self, event: "SentryEvent", hint: "Hint") -> Any:
        safe = _safe(event, hint)
        held_back = self._hold_back(tuple(safe.get("fingerprint") or _place(safe)))
        if held_back is None:
            return None
        if held_back:
            safe["tags"] = {**safe.get("tags", {}), "held_back": str(held_back)}
        return safe

    def _hold_back(self, key: tuple[str, ...]) -> int | None:
        """None for an event that is one too many; else how many were, since the last that was not."""
        with self._lock:
            sent_at, held_back = self._seen.get(key, (None, 0))
            if sent_at is not None and clock() < sent_at + _QUIET_S:
                self._seen[key] = (sent_at, held_back + 1)
                return None
            if len(self._seen) >= _MOST_KEYS:
                self._seen.clear()
            self._seen[key] = (clock(), 0)
            return held_back


def _safe(event: "SentryEvent", hint: "Hint") -> Any:
    safe: dict[str, Any] = {key: event.get(key) for key in _EVENT_KEYS if key in event}
    if "log_record" in hint:
        safe |= _of_line(hint["log_record"])
    exceptions = [_exception(part) for part in _values(event, "exception")]
    if exceptions:
        safe["exception"] = {"values": exceptions}
        safe.pop("fingerprint", None)
    return safe


def _of_line(record: logging.LogRecord) -> dict[str, Any]:
    """What a line of the log adds: an event of ours as it is, of a library's line the text without its arguments."""
    if isinstance(record.msg, Event):
        event = record.msg
        tags = {name: str(value) for name, value in event.items() if name != "reason"}
        group = [event["event"], str(event.get("error")), str(event.get("code"))]
        return {"message": str(event), "tags": tags, "fingerprint": group}
    text = record.msg if record.args and isinstance(record.msg, str) else _LEFT_OUT
    place = f"{record.module}.{record.funcName}"
    return {"message": f"{place}: {text}", "fingerprint": [record.name, place, text]}


def _exception(part: Any) -> dict[str, Any]:
    known = str(part.get("module")).partition(".")[0] in _SAFE_TEXTS
    frames = (part.get("stacktrace") or {}).get("frames") or ()
    return {
        "type": part.get("type"),
        "module": part.get("module"),
        "value": part.get("value") if known else _LEFT_OUT,
        "mechanism": {"type": "generic", "handled": (part.get("mechanism") or {}).get("handled")},
        "stacktrace": {"frames": [{key: frame.get(key) for key in _FRAME_KEYS} for frame in frames]},
    }


def _place(event: Mapping[str, Any]) -> list[str]:
    """Where an exception came from, by which it is held back."""
    last = event["exception"]["values"][-1] if "exception" in event else {}
    frame = (last.get("stacktrace", {}).get("frames") or [{}])[-1]
    return [str(last.get("type")), str(frame.get("module")), str(frame.get("lineno"))]


def _values(event: Any, key: str) -> list[Any]:
    return list((event.get(key) or {}).get("values") or ())


def _nothing(*_: Any) -> None:
    """Before a breadcrumb or a transaction: there are none."""
