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
        letter: the message, encrypted.
        problem: what is wrong with it.
        task_id: its id, where it has one.
    """

    letter: str
    problem: str
    task_id: str | None


@dataclass(frozen=True, slots=True)
class Taken:
    """How many messages were taken off the list, and for which channels a message must be published."""

    count: int
    publish: list[str]


class IntakeQueue:
    """The list of foreign producers, from its end that is to be taken first. Redis-py's errors come as they are."""

    def __init__(self, client: "Redis", limits: Limits) -> None:
        """Use a client that does not retry."""
        self._client = client
        self._lease = limits.lease
        self._env = json.dumps(
            {
                "break_ms": limits.break_,
                "record_ttl": limits.record_ttl,
                "lease": limits.lease,
                "channel_limit": limits.channel_limit,
                "system_limit": limits.system_limit,
                "dead_limit": DEAD_LIMIT,
            }
        )
        self._intake = load_script(client, "intake")
        self._lease_script = load_script(client, "intake_lease")

    def hold(self, token: str) -> bool:
        """Be the fleet's one intake, under this token, for a lease; False if another is."""
        return cast(list[Any], self._lease_script(args=[token, self._lease])) == ["HELD"]

    def let_go(self, token: str) -> None:
        """Leave it to another."""
        self._lease_script(args=[token, 0])

    def look(self, name: str, most: int) -> list[str]:
        """The messages of a list that come next, so many at the most, the first one first; they stay there."""
        found = cast(list[str], self._client.lrange(name, -most, -1))
        return found[::-1]

    def take(self, token: str, name: str, messages: Sequence[tuple[str, NewTask | DeadLetter]]) -> Taken | None:
        """Enqueue what these messages hold, and take them off the list, each in one step; None if not the intake."""
        told = [{"sha1": _sha1(raw), **_fields(content)} for raw, content in messages]
        match cast(list[Any], self._intake(args=[self._env, token, name, json.dumps(told)])):
            case ["STALE"]:
                return None
            case [int(count), list(publish)]:
                return Taken(count, publish)
            case _:
                raise ValueError("intake gave no answer")


def _fields(content: NewTask | DeadLetter) -> dict[str, Any]:
    if isinstance(content, NewTask):
        return {"ch": content.ch, "task": task_fields(content)}
    letter = {"letter": content.letter, "problem": content.problem}
    return {**letter, "id": content.task_id} if content.task_id else letter


def _sha1(raw: str) -> str:
    # The server has no other digest; it only tells one message from the next.
    return hashlib.sha1(raw.encode(errors="surrogateescape"), usedforsecurity=False).hexdigest()
