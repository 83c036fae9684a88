"""What the simulator remembers of its requests: every digit heard, and every request with its outcome.

It holds digits and phone numbers, so it stays in memory; it goes to a file only where one was asked for.
"""

import json
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO


@dataclass(slots=True)
class Heard:
    """A digit that was executed. Times are epoch seconds; those ending in ``_mono`` the monotonic clock's."""

    seq: int
    channel_id: str
    job_id: str
    instance_id: str
    key: str
    nonce: str
    access_key_id: str
    request_id: str
    received_at: float
    executed_at: float
    received_mono: float
    executed_mono: float


@dataclass(slots=True)
class Requested:
    """A request that is done with.

    ``heard`` is the sequence number of the digit that it executed, if it did; ``answered`` says that its
    answer was handed to a connection which was still open.
    """

    seq: int
    channel_id: str
    job_id: str
    instance_id: str
    nonce: str
    access_key_id: str
    signature: str
    request_id: str
    received_at: float
    done_at: float
    code: str
    http_status: int
    rules: list[str]
    executed: bool
    heard: int | None
    answered: bool


class EventLog:
    """Heard digits are kept until `clear`; of the requests, the last ``keep_requests``."""

    def __init__(self, keep_requests: int, path: Path | None) -> None:
        self.heard: list[Heard] = []
        self.requests: deque[Requested] = deque(maxlen=keep_requests)
        self.codes: Counter[str] = Counter()
        self._requests_ever = 0
        self._file: TextIO | None = None if path is None else path.open("a", encoding="utf-8")

    def hear(self, heard: Heard) -> None:
        """Add a digit; its number is its place in the order of execution."""
        heard.seq = len(self.heard) + 1
        self.heard.append(heard)
        self._write("heard", heard)

    def request(self, requested: Requested) -> None:
        """Add a request that is done with."""
        self._requests_ever += 1
        requested.seq = self._requests_ever
        self.requests.append(requested)
        self.codes[requested.code] += 1
        self._write("request", requested)

    def heard_since(self, seq: int, limit: int) -> list[dict[str, Any]]:
        """At most ``limit`` digits with a higher number than ``seq``."""
        return [asdict(heard) for heard in self.heard[max(0, seq) : max(0, seq) + limit]]

    def requests_since(self, seq: int, limit: int) -> list[dict[str, Any]]:
        """At most ``limit`` requests with a higher number than ``seq``, of those still kept."""
        gone = self._requests_ever - len(self.requests)
        start = max(0, seq - gone)
        return [asdict(requested) for requested in islice(self.requests, start, start + limit)]

    @property
    def requests_ever(self) -> int:
        """How many requests were logged since the last `clear`."""
        return self._requests_ever

    def clear(self) -> None:
        """Forget everything; numbers start again at 1. The file keeps what it has."""
        self.heard.clear()
        self.requests.clear()
        self.codes.clear()
        self._requests_ever = 0

    def flush(self) -> None:
        """Bring what was written to the file onto the disk."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _write(self, event: str, entry: Heard | Requested) -> None:
        if self._file is not None:
            self._file.write(json.dumps({"event": event} | asdict(entry)) + "\n")


def json_lines(entries: Iterable[dict[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join([json.dumps(entry) + "\n" for entry in entries])
