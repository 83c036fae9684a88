"""What a producer hands in: arguments and options of a task, checked at the door."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from config.settings import Settings
from worker.channel.queue import NewTask
from worker.dial import Dial, parse_dial
from worker.errors import InvalidTask
from worker.vault import Vault, channel_digest

SEND_TASK = "dtmf.send"
OnFailure = Literal["cancel", "continue"]
OnUnknown = Literal["stop", "resend"]
Moment = datetime | int | float
Span = timedelta | int | float

LONGEST_DEADLINE_MS = 86_400_000
LONGEST_GAP_MS = 60_000
_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
_PLAIN_NAME = re.compile(r"[A-Za-z_]{1,32}")
_MOST_NAMES = 5
_LONGEST_TEXT = 256
_ARGUMENTS = {
    "channel_id",
    "job_id",
    "dtmf",
    "instance_id",
    "user_id",
    "device_id",
    "deadline",
    "expires_in",
    "gap_ms",
    "on_failure",
    "on_unknown",
}


@dataclass(frozen=True, slots=True, repr=False)
class Task:
    """A DTMF task, checked. Its repr would show personal data, so it has none.

    Attributes:
        channel_id: the channel of the call.
        job_id: the call.
        dial: its keys and pauses.
        instance_id: the contact centre instance; None for the worker's default, as the next two.
        user_id: the agent.
        device_id: the agent's workbench.
        deadline_ms: its deadline, in ms since 1970, or 0 for none.
        expires_in_ms: time from enqueue to its deadline; the earlier of the two counts.
        start_at_ms: before this moment, in ms since 1970, no digit is sent; 0 for none.
        gap_ms: least time between two digits.
        on_failure: what becomes of this task when one ahead of it fails.
        on_unknown: whether a digit of unknown fate (an internal error of the API) is pressed again.
    """

    channel_id: str
    job_id: str
    dial: Dial
    instance_id: str | None
    user_id: str | None
    device_id: str | None
    deadline_ms: int
    expires_in_ms: int
    start_at_ms: int
    gap_ms: int
    on_failure: OnFailure
    on_unknown: OnUnknown

    def to_payload(self) -> str:
        """What the run needs of the task, as JSON; to be encrypted before it leaves the process."""
        fields = {
            "channel_id": self.channel_id,
            "job_id": self.job_id,
            "instance_id": self.instance_id,
            "user_id": self.user_id,
            "device_id": self.device_id,
            "keys": self.dial.keys,
            "pauses_ms": self.dial.pauses_ms,
            "gap_ms": self.gap_ms,
            "on_unknown": self.on_unknown,
        }
        # It waits in the server's memory.
        given = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(given, separators=(",", ":"))

    def to_new(self, task_id: str, vault: Vault, callbacks: str | None = None) -> NewTask:
        """The task as the channel queue takes it; callbacks: see worker.callbacks, to be encrypted here."""
        return NewTask(
            id=task_id,
            ch=channel_digest(self.channel_id),
            n=len(self.dial.keys),
            lead_ms=self.dial.lead_ms,
            expires_in_ms=self.expires_in_ms,
            deadline_ms=self.deadline_ms,
            go_on=self.on_failure == "continue",
            payload=vault.encrypt(self.to_payload(), task_id),
            instance_id=self.instance_id,
            start_at_ms=self.start_at_ms,
            callbacks=callbacks and vault.encrypt(callbacks, task_id),
        )


@dataclass(frozen=True, slots=True, repr=False)
class Payload:
    """What the run knows of a task; the attributes are those of Task."""

    channel_id: str
    job_id: str
    instance_id: str | None
    user_id: str | None
    device_id: str | None
    keys: str
    pauses_ms: list[int]
    gap_ms: int
    on_unknown: OnUnknown

    @classmethod
    def from_json(cls, text: str) -> "Payload":
        """Read what to_payload wrote. A field that a newer producer added is passed over."""
        fields = json.loads(text)
        return cls(**{name: fields.get(name) for name in cls.__slots__})


def check_task_id(task_id: object) -> str:
    """The task id, if it can be one: 1 to 128 letters, digits and . _ : - of ASCII, the first no punctuation.

    Raises:
        InvalidTask: if it cannot.
    """
    if not isinstance(task_id, str) or not _TASK_ID.fullmatch(task_id):
        raise InvalidTask("task_id must be 1 to 128 ASCII letters, digits and . _ : - with a letter or digit in front")
    return task_id


def check_channel_id(channel_id: object) -> str:
    """The channel id, if it can be one.

    Raises:
        InvalidTask: if it cannot.
    """
    return _text("channel_id", channel_id)


def task_from(arguments: Mapping[str, Any], settings: Settings, *, expires: object = None, eta: object = None) -> Task:
    """Check a task's arguments as a producer named them; what it left out comes from the settings.

    Args:
        arguments: by their names, those of check_task without its defaults; None counts as left out.
        settings: of the producer, or of the worker that takes a foreign producer's message.
        expires: Celery's option.
        eta: Celery's option.

    Raises:
        InvalidTask: naming the argument and what is wrong with it, never its value.
    """
    given = {
        "instance_id": settings.CCC_INSTANCE_ID,
        "user_id": settings.CCC_USER_ID,
        "device_id": settings.CCC_DEVICE_ID,
        **{name: value for name, value in arguments.items() if value is not None},
    }
    missing = {"channel_id", "job_id", "dtmf"} - given.keys()
    if missing:
        raise InvalidTask(f"dtmf.send needs {' and '.join(sorted(missing))}")
    unknown = given.keys() - _ARGUMENTS
    if unknown:
        # A name is the caller's own text, but a misplaced value could stand there: digits are never shown.
        shown = sorted({name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else "?" for name in unknown})
        names = ", ".join(shown[:_MOST_NAMES])
        raise InvalidTask(f"dtmf.send takes no argument {names}; it takes {', '.join(sorted(_ARGUMENTS))}")
    return check_task(
        **given,
        expires=expires,
        eta=eta,
        default_expires_ms=settings.DTMF_DEADLINE_MS,
        default_gap_ms=settings.DTMF_GAP_MS,
    )


def check_task(
    *,
    channel_id: object,
    job_id: object,
    dtmf: object,
    instance_id: object = None,
    user_id: object = None,
    device_id: object = None,
    deadline: object = None,
    expires_in: object = None,
    expires: object = None,
    eta: object = None,
    gap_ms: object = None,
    on_failure: object = "cancel",
    on_unknown: object = "stop",
    default_expires_ms: int,
    default_gap_ms: int,
) -> Task:
    """Check all arguments of a task.

    Args:
        channel_id: the channel, as the API names it.
        job_id: the call, as the API names it.
        dtmf: the dial string; see worker.dial.
        instance_id: the contact centre instance, or None for the settings' default, as the next two.
        user_id: the agent.
        device_id: the agent's workbench.
        deadline: after this moment no digit is sent: an aware datetime, or seconds since 1970.
        expires_in: the same, as a time from now: a timedelta, or seconds.
        expires: Celery's option: an aware datetime, a timedelta, or seconds from now. The earliest of all counts.
        eta: Celery's option: an aware datetime before which no digit is sent. Where no deadline is given, it counts
            from here.
        gap_ms: least time between two digits, 0 to 60,000 ms.
        on_failure: cancel or continue.
        on_unknown: stop or resend.
        default_expires_ms: time to the deadline where none is given.
        default_gap_ms: gap where none is given.

    Raises:
        InvalidTask: naming the argument and what is wrong with it, never its value.
    """
    moments = [_moment_ms(deadline, "deadline")] if deadline is not None else []
    moments += [_moment_ms(expires, "expires")] if isinstance(expires, datetime) else []
    start_at_ms = 0 if eta is None else _moment_ms(eta, "eta")
    ahead_ms = max(0, start_at_ms - int(time.time() * 1000))
    spans = [span for span in (expires_in, None if isinstance(expires, datetime) else expires) if span is not None]
    return Task(
        channel_id=_text("channel_id", channel_id),
        job_id=_text("job_id", job_id),
        dial=parse_dial(dtmf),
        instance_id=_optional_text("instance_id", instance_id),
        user_id=_optional_text("user_id", user_id),
        device_id=_optional_text("device_id", device_id),
        deadline_ms=min(moments, default=0),
        expires_in_ms=min(
            (_span_ms(span) for span in spans),
            default=LONGEST_DEADLINE_MS if moments else min(ahead_ms + default_expires_ms, LONGEST_DEADLINE_MS),
        ),
        start_at_ms=start_at_ms,
        gap_ms=_gap(gap_ms, default_gap_ms),
        on_failure=_one_of("on_failure", on_failure, OnFailure),
        on_unknown=_one_of("on_unknown", on_unknown, OnUnknown),
    )


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise InvalidTask(f"{name} must be a string, not {type(value).__name__}")
    if not value or len(value) > _LONGEST_TEXT:
        raise InvalidTask(f"{name} must have 1 to {_LONGEST_TEXT} characters; it has {len(value)}")
    if not value.isprintable() or value != value.strip():
        raise InvalidTask(f"{name} holds a control character, or begins or ends with a space")
    return value


def _optional_text(name: str, value: object) -> str | None:
    return None if value is None else _text(name, value)


def _moment_ms(value: object, name: str) -> int:
    if isinstance(value, datetime):
        if value.utcoffset() is None:
            raise InvalidTask(f"{name} must carry a time zone; datetime.now(timezone.utc) does")
        value = value.timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        raise InvalidTask(f"{name} must be a datetime with a time zone, or seconds since 1970")
    ms = int(value * 1000)
    if ms > time.time() * 1000 + LONGEST_DEADLINE_MS:
        raise InvalidTask(f"{name} must not be more than a day ahead")
    return ms


def _span_ms(value: object) -> int:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise InvalidTask("expires_in (or expires) must be seconds or a timedelta")
    if not 0 < seconds * 1000 <= LONGEST_DEADLINE_MS:
        raise InvalidTask("expires_in (or expires) must be more than 0 and at most a day")
    return max(1, int(seconds * 1000))


def _gap(value: object, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LONGEST_GAP_MS:
        raise InvalidTask(f"gap_ms must be a whole number from 0 to {LONGEST_GAP_MS}")
    return value


def _one_of(name: str, value: object, choices: Any) -> Any:
    if value not in get_args(choices):
        raise InvalidTask(f"{name} must be {' or '.join(get_args(choices))}")
    return value
