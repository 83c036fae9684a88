"""Follows a stream: hands each of its entries to one worker of the fleet, at least once.

A consumer group shares the entries among the workers. Those that a dead worker had taken are taken over by another.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from worker.clock import clock
from worker.fleet.loop import Loop

log = logging.getLogger(__name__)

GROUP = "results"
_MOST_AT_ONCE = 200
_BLOCK_MS = 1000
_ORPHANED_AFTER_MS = 10_000
_FORGOTTEN_AFTER_MS = 3_600_000

Entries = Iterable[tuple[str, dict[str, str] | None]]


class Follower:
    """One a worker and stream."""

    def __init__(self, client: "Redis", stream: str, write: Callable[[list[dict[str, str]]], None], name: str) -> None:
        """Follow a stream with a client whose calls may take longer than a second.

        Args:
            client: shared with nobody.
            stream: its key.
            write: what is done with the fields of entries; it must be such that it may be done twice.
            name: of this worker, as a consumer.
        """
        self._client = client
        self._stream = stream
        self._hand_on = write
        self._name = name
        self._looked_for_orphans = 0.0
        self._cursor = "0-0"
        # Whether records may have been taken under this name and not written: after a fault, and at the start.
        self._unsure = True
        self._loop = Loop(f"follower of {stream}", self.follow, 0)
        self.start, self.stop = self._loop.start, self._loop.stop

    def follow(self) -> None:
        """Hand on what is new, or wait a second for something new."""
        try:
            if clock() > self._looked_for_orphans + _ORPHANED_AFTER_MS / 2000:
                self._looked_for_orphans = clock()
                self._take_over()
            self._read()
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            # A new server, or one that came back without its last writes.
            self._make_group()

    def _read(self) -> None:
        own_again, self._unsure = self._unsure, True
        answer = self._client.xreadgroup(
            GROUP,
            self._name,
            {self._stream: "0" if own_again else ">"},
            count=_MOST_AT_ONCE,
            block=None if own_again else _BLOCK_MS,
        )
        batches = [list(entries) for entries in _streams(answer)]
        for entries in batches:
            self._write(entries)
        self._unsure = own_again and any(batches)

    def _make_group(self) -> None:
        try:
            self._client.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            # Another worker was quicker.
            if not str(error).startswith("BUSYGROUP"):
                raise

    def leave(self) -> None:
        """Take this worker's name out of the group, if nothing is left under it."""
        for consumer in self._client.xinfo_consumers(self._stream, GROUP):
            mine = consumer["name"] == self._name
            if consumer["pending"] == 0 and (mine or consumer["idle"] > _FORGOTTEN_AFTER_MS):
                self._client.xgroup_delconsumer(self._stream, GROUP, consumer["name"])

    def _take_over(self) -> None:
        self._cursor, entries, *_ = self._client.xautoclaim(
            self._stream,
            GROUP,
            self._name,
            min_idle_time=_ORPHANED_AFTER_MS,
            start_id=self._cursor,
            count=_MOST_AT_ONCE,
        )
        self._write(entries)

    def _write(self, entries: Entries) -> None:
        taken = list(entries)
        if taken:
            # Of an entry that was trimmed meanwhile there are no fields.
            self._hand_on([fields for _, fields in taken if fields])
            self._client.xack(self._stream, GROUP, *(entry for entry, _ in taken))


def _streams(answer: Any) -> list[Entries]:
    """The entries of each stream in an answer of XREADGROUP, under RESP2 (pairs) and RESP3 (a map of lists)."""
    if not answer:
        return []
    if isinstance(answer, dict):
        return [entries for batches in answer.values() for entries in batches]
    return [entries for _, entries in answer]
