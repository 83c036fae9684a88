"""The one hierarchy of errors.

No message here, and no text of an exception that one of these chains, holds a digit, a phone number,
a channel id or a URL: messages end up in logs, results and pages that many people read.
"""

from typing import Any


class DtmfError(Exception):
    """Something that this project refuses to do, or could not do; the base of every error it raises."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else self.__class__.__name__


class InvalidTask(DtmfError, ValueError):
    """An argument or option of a task is wrong; nothing was enqueued."""


class UnsupportedOption(InvalidTask):
    """An option of Celery's apply_async that has no meaning for key presses; nothing was enqueued."""


class NotAccepted(DtmfError):
    """The task was not enqueued; nothing of it will be sent."""


class ChannelQueueFull(NotAccepted):
    """As many tasks wait on the channel as DTMF_CHANNEL_LIMIT allows."""


class SystemQueueFull(NotAccepted):
    """As many tasks wait on all channels together as DTMF_SYSTEM_LIMIT allows."""


class ChannelBroken(NotAccepted):
    """A task ahead failed; what follows would type the wrong number until the break is acknowledged or has aged."""


class DeadlinePassed(NotAccepted):
    """The task's deadline had passed when it was to be enqueued."""


class QueueUnavailable(DtmfError):
    """Redis did not answer. Of an enqueue: the task may have been accepted; enqueue it again under the same id."""


class UnfitServer(DtmfError):
    """The Redis server is too old, or set up so that it would lose or evict tasks."""


class UnknownSecretKey(DtmfError):
    """Something was encrypted or derived with a secret key that is not in DTMF_SECRET_KEYS."""


class TaskError(DtmfError):
    """A task that ended without all of its digits sent; ``outcome`` is its record, without personal data."""

    def __init__(self, message: str, outcome: dict[str, Any] | None = None) -> None:
        super().__init__(message, outcome)
        self.outcome = outcome or {}


class TaskExpired(TaskError):
    """The task's deadline passed before all of its digits were sent."""


class TaskUnknown(TaskError):
    """Whether a digit of the task was executed, nobody can say."""


class TaskCancelled(TaskError):
    """The task was cancelled by its producer."""


class LineBroken(TaskCancelled):
    """The task was cancelled because one ahead of it on its channel failed."""
