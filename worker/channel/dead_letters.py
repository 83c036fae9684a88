"""The dead letters, for operators: a look at them, and the script that takes them out."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from redis import Redis

from worker.channel.intake import DeadLetter
from worker.channel.scripts import load_script

DEAD_LETTERS = "dtmf:dead"
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter as it stands in Redis.

    Attributes:
        content: what the intake said of it.
        at: when it was put there, in ms since 1970.
        text: the whole of it, by which the script knows it.
    """

    content: DeadLetter
    at: int
    text: str

    @classmethod
    def read(cls, text: str) -> "KeptLetter":
        """Read what intake.lua wrote."""
        fields = json.loads(text)
        content = DeadLetter(fields["number"], fields["letter"], fields["problem"], fields.get("id"))
        return cls(content, int(fields["at"]), text)


class DeadLetters:
    """Messages that held no task. Redis-py's errors come as they are."""

    def __init__(self, client: "Redis") -> None:
        """Use a client that does not retry."""
        self._client = client
        self._script = load_script(client, "dead_letter")

    def __len__(self) -> int:
        """How many are kept."""
        return self._client.llen(DEAD_LETTERS)

    def ever(self) -> int:
        """How many there have been."""
        return int(cast(Any, self._client.get(f"{DEAD_LETTERS}:count")) or 0)

    def newest(self, most: int) -> list[KeptLetter]:
        """So many at the most, the oldest of them first."""
        found = cast(list[str], self._client.lrange(DEAD_LETTERS, 0, most - 1))
        return [KeptLetter.read(text) for text in reversed(found)]

    def oldest(self, *, skip: int) -> list[KeptLetter]:
        """Some of them, the oldest first, but for so many that are older still; none if there are no more."""
        found = cast(list[str], self._client.lrange(DEAD_LETTERS, -skip - _AT_ONCE, -skip - 1))
        return [KeptLetter.read(text) for text in reversed(found)]

    def put_back(self, name: str, messages: Sequence[tuple[KeptLetter, bytes]]) -> list[bool]:
        """Put messages at the end of a list of foreign producers, their letters out of the dead ones.

        Returns:
            Of each, whether its letter was still there; else it was not put back.
        """
        return self._take_out(name, messages)

    def drop(self, letters: Sequence[KeptLetter]) -> list[bool]:
        """Take letters out for good; of each, whether it was still there."""
        return self._take_out("", [(letter, b"") for letter in letters])

    def _take_out(self, name: str, messages: Sequence[tuple[KeptLetter, bytes]]) -> list[bool]:
        pairs = [part for letter, message in messages for part in (letter.text, message)]
        return [there == 1 for there in cast(list[int], self._script(args=[name, *pairs]))] if pairs else []
