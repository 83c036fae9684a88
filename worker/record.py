"""Records: the final account of a task, one for each, whatever happened. They hold no personal data."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class State(StrEnum):
    """How a task stands; all but the first two are final."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    PRESUMED = "presumed"
    FAILED = "failed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class Outcome(StrEnum):
    """What became of one digit."""

    SENT = "sent"
    PRESUMED = "presumed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"


class Digit(BaseModel):
    """One digit of a record. Times are the Redis server's clock, in ms since 1970."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    index: int = Field(ge=1)
    """Its place in the task, from 1. The key itself is never recorded."""
    outcome: Outcome
    """sent: answered OK. presumed: taken, known only by its refused nonce. failed: refused by the API, final.
    unknown: nobody can say. not_sent: never executed."""
    attempts: int = Field(ge=0)
    """Attempts made. They share a nonce until the API has used it up."""
    request_id: str | None = None
    """The API's id of the last answered request."""
    http_status: int | None = None
    """HTTP status of the last answer."""
    code: str | None = None
    """The API's Code in the last answer."""
    started_at: int | None = None
    """When the last attempt began."""
    ended_at: int | None = None
    """When the last attempt was settled."""


class Record(BaseModel):
    """The final account of a task, as it stands in the stream dtmf:records (field `record`)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    v: int = 1
    """Version of this form. New fields may come without a new version; a field never changes its meaning."""
    id: str
    """The task's id."""
    ch: str
    """Digest of the channel id: the first 32 hex digits of its SHA-256."""
    state: State
    """How the task ended."""
    digits: list[Digit]
    """Every digit of the task, in order."""
    enqueued_at: int
    """When the task was accepted."""
    started_at: int | None = None
    """When it came to the head of its channel; absent if it never did."""
    ended_at: int
    """When it ended."""
    deadline: int
    """After this moment none of its digits is sent."""
    error: str | None = None
    """Class of the error that ended it, such as Gone, TaskExpired or LineBroken."""
    code: str | None = None
    """The API's Code with which it failed; of a task behind a broken line, the code that broke the line;
    of an expired one, the Code with which the API refused every request, if it did."""
    broken_by: str | None = None
    """Id of the task that broke the line, where this one was cancelled for it."""
    instance_id: str | None = None
    """Instance that the task named; absent if it left that to the worker's settings."""
    worker: str | None = None
    """Name of the worker that ended it; absent if a producer did."""

    def outcome(self) -> dict[str, Any]:
        """What a producer's AsyncResult.get() gives: the record as plain JSON values, without empty fields."""
        return self.model_dump(mode="json", exclude_none=True)


if __name__ == "__main__":
    import json

    print(json.dumps(Record.model_json_schema(), indent=2))
