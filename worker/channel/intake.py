"""The scripts of the intake as methods: its lease, and the step from a foreign list to the channel queues."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from worker.channel.queue import Limits, NewTask, task_fields
from worker.channel.scripts import load_script

DEAD_LIMIT = 10_000


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that holds no task.

    Attributes:
        number: its name among the dead letters.
        letter: the message, encrypted; empty if it was too large to keep.
        problem: what is wrong with it.
        task_id: its id, where it has one.
    """

    number: str
    letter: str
    problem: str
    task_id: str | None


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A message that is not even looked at: a worker that fetched a few hundred of them might have no memory left.

    Attributes:
        sha1: by which the list's end is compared with it.
        size: its bytes.
    """

    sha1: str
    size: int


@dataclass(frozen=True, slots=True)
class Taken:
    """How many messages were taken off the list, and for which channels a message must be published."""

    count: int
    publish: list[str]


class IntakeQueue:
    """The lists of foreign producers, from the end that is to be taken first. Redis-py's errors come as they are."""

    def __init__(self, client: "Redis", limits: Limits, worker: str) -> None:
        """Use a client that does not retry, and that lets bytes through which are no text (surrogateescape)."""
        self._worker = worker
        self._lease = limits.lease
        self._env = {
            "break_ms": limits.break_,
            "record_ttl": limits.record_ttl,
            "lease": limits.lease,
            "channel_limit": limits.channel_limit,
            "system_limit": limits.system_limit,
            "dead_limit": DEAD_LIMIT,
        }
        self._intake = load_script(client, "intake")
        self._look = load_script(client, "intake_look")
        self._lease_script = load_script(client, "intake_lease")

    def hold(self, token: str) -> bool:
        """Be the fleet's one intake, under this token, for a lease; False if another is."""
        return cast(list[Any], self._lease_script(args=[token, self._lease, self._worker])) == ["HELD"]

    def let_go(self, token: str) -> None:
        """Leave it to another."""
        self._lease_script(args=[token, 0, self._worker])

    def look(self, names: Sequence[str], most: int, largest: int) -> tuple[str, list[str | TooLarge]] | None:
        """Of the first list that is not empty: its name, and so many messages that come next, the first one first.

        They stay there. None if all lists are empty. largest: the bytes of the largest message to fetch.
        """
        found = cast(list[Any], self._look(args=[most, largest, *names]))
        if not found:
            return None
        name, messages = found
        return name, [one if isinstance(one, str) else TooLarge(*one) for one in messages]

    def take(
        self,
        token: str,
        name: str,
        messages: Sequence[tuple[str | TooLarge, NewTask | DeadLetter]],
        *,
        publish: int,
    ) -> Taken | None:
        """Enqueue what these messages hold, and take them off the list, each in one step; None if not the intake.

        publish: for how many channels the caller is ready to publish a message; the sweepers do it for the rest.
        """
        env = json.dumps({**self._env, "publish_limit": publish})
        told = [{"sha1": _sha1(raw), **_fields(content)} for raw, content in messages]
        match cast(list[Any], self._intake(args=[env, token, name, json.dumps(told)])):
            case ["STALE"]:
                return None
            case [int(count), list(channels)]:
                return Taken(count, channels)
            case _:
                raise ValueError("intake gave no answer")


def _fields(content: NewTask | DeadLetter) -> dict[str, Any]:
    if isinstance(content, NewTask):
        return {"ch": content.ch, "task": task_fields(content)}
    letter = {"number": content.number, "letter": content.letter, "problem": content.problem}
    return {**letter, "id": content.task_id} if content.task_id else letter


def _sha1(raw: str | TooLarge) -> str:
    if isinstance(raw, TooLarge):
        return raw.sha1
    # The server has no other digest; it only tells one message from the next.
    return hashlib.sha1(raw.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()
