"""The log: events with fields, one line each, as text or as JSON. docs/logs.md lists them.

Everything is logged with the standard library, under the logger `worker`. Handlers are set up in a worker process
alone, by Celery; in a producer's process they are the application's.
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any

from celery.app import log as celery_log
from pythonjsonlogger.json import JsonFormatter as _JsonFormatter

from config.settings import Settings

_BARE = re.compile(r"[^\s\"'=]+")
_TASK_NAME = re.compile(r"(?!.*[0-9]{5})[A-Za-z_][\w.-]{0,99}")


class Event(dict[str, Any]):
    """What is logged in the place of a text: `log.info(Event("task.recorded", task=task_id))`.

    The JSON formatter takes it as the dictionary that it is, any other as `task.recorded task=…`. Fields that are None
    are left out. No field holds a digit, a phone number or a channel id: channels are named by their digest.
    """

    def __init__(self, event: str, /, **fields: Any) -> None:
        super().__init__(event=event, **{name: value for name, value in fields.items() if value is not None})

    def __str__(self) -> str:
        return " ".join([self["event"], *(f"{name}={_text(self[name])}" for name in self if name != "event")])


def _text(value: Any) -> str:
    text = str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)


class JsonFormatter(_JsonFormatter):
    """One JSON object a line: time, level, logger, and an event's fields or another library's message."""

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Put the fields in; none of what libraries pass as `extra`, which may be the arguments of a task."""
        time = datetime.fromtimestamp(record.created, UTC)
        log_data.update(time=time, level=record.levelname, logger=record.name)
        if record.message:
            log_data["message"] = record.message
        log_data.update(message_dict)


class Logging(celery_log.Logging):
    """Celery's own set-up of the log in a worker process, with the format of our setting for all lines."""

    _format = "text"

    def setup_logging_subsystem(self, *args: Any, **options: Any) -> Any:
        """Set it up once, as --loglevel and --logfile say."""
        self._format = Settings.load(worker=False).DTMF_LOG_FORMAT
        keep_messages_out()
        done = super().setup_logging_subsystem(*args, **options)
        if not logging.getLogger().isEnabledFor(logging.DEBUG):
            # A wake-up that comes and one that is done with are no news.
            for name in ("celery.worker.strategy", "celery.app.trace"):
                logging.getLogger(name).setLevel(logging.WARNING)
        return done

    def setup_handlers(self, *args: Any, **options: Any) -> Any:
        """Give a logger its handler, unless it has one already."""
        if self._format == "json":
            options["formatter"] = _json_formatter
        return super().setup_handlers(*args, **options)


def _json_formatter(*_: Any, **__: Any) -> JsonFormatter:
    return JsonFormatter()


def keep_messages_out() -> None:
    """Keep what stands in Celery's messages out of Celery's own log: strangers' messages may hold digits in clear."""
    for name in ("celery.worker.consumer.consumer", "celery.worker.strategy", "celery.pool"):
        logging.getLogger(name).addFilter(_without_message)


def _without_message(record: logging.LogRecord) -> bool:
    """Replace a line that would show a message's body, headers or arguments by one that says what is wrong with it."""
    template = str(record.msg)
    args = record.args if isinstance(record.args, tuple) else ()
    if template.startswith("TaskPool: Apply") and args:
        record.args = (args[0], "not shown", "not shown")
    why = next((why for start, why in _REFUSALS.items() if template.startswith(start)), None)
    if why:
        name = args[0].args[0] if args and isinstance(args[0], KeyError) and args[0].args else None
        shown = name if isinstance(name, str) and _TASK_NAME.fullmatch(name) else None
        record.msg, record.args = Event("message.refused", reason=why, name=shown), ()
        record.exc_info = record.exc_text = None
    return True


# How the lines begin with which Celery shows a message that it does not take.
_REFUSALS = {
    "Received unregistered task": "no task of this name",
    "Received and deleted unknown message": "not a task",
    "Received invalid task message": "not a valid task",
    "Can't decode message body": "its body cannot be read",
    "Couldn't convert ETA": "its eta is not a time",
}
