"""What the scripts answer, as types: the mark to send, and the other things that a run may be told."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What became of a marked attempt; settle.lua says what each one does."""

    OK = "ok"
    PRESUMED = "presumed"
    RETRY = "retry"
    UNKNOWN = "unknown"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Mark:
    """The one attempt that may be on its way.

    Attributes:
        task: id of the task, the head of its channel.
        digit: index of the digit, from 1.
        attempt: number of the attempt at this digit, from 1.
        nonce: number of the nonce at this digit, from 1: attempts share one until the API has used it up.
        signed_at: when the attempt began, in s since 1970; every copy is signed with it.
        kid: fingerprint of the secret key from which its nonce is derived.
        ak: fingerprint of the AccessKeyId that signs it.
    """

    task: str
    digit: int
    attempt: int
    nonce: int
    signed_at: int
    kid: str
    ak: str


@dataclass(frozen=True, slots=True)
class Send:
    """Send the marked attempt.

    Attributes:
        mark: the attempt.
        doubt: an earlier copy may exist.
        throttled: a copy under this nonce was refused as not executed, and may have burnt the nonce.
        probe: requests pause because the API refuses the account or the clock; this one tries whether it still does.
        left_ms: time to the task's deadline when the server answered.
        payload: what the producer handed in, encrypted.
    """

    mark: Mark
    doubt: bool
    throttled: bool
    probe: bool
    left_ms: int
    payload: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Keep the channel, wait so many ms, claim it again."""

    ms: int


class Left(StrEnum):
    """The run does not hold the channel (any more); only HANDED asks for something, a message for the channel."""

    EMPTY = "EMPTY"
    HANDED = "HANDED"
    PAUSED = "PAUSED"
    LATER = "LATER"
    BUSY = "BUSY"
    STALE = "STALE"


Step = Send | Wait | Left


def read_step(answer: list[Any]) -> Step:
    """The answer of claim, settle or release."""
    match answer:
        case ["SEND", task, digit, attempt, nonce, signed_at, kid, ak, doubt, throttled, probe, left_ms, payload]:
            mark = Mark(task, digit, attempt, nonce, signed_at, kid, ak)
            return Send(mark, bool(doubt), bool(throttled), bool(probe), left_ms, payload)
        case ["WAIT", ms]:
            return Wait(ms)
        case [word, *_]:
            return Left(word)
        case _:
            raise ValueError("a script gave no answer")
