"""The invariants of docs/protocol.md, looked at after every single script."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from worker.vault import Vault

if TYPE_CHECKING:
    from tests.enumerate.api import Copy
    from tests.enumerate.world import World

_SEE = Path(__file__).parent / "lua" / "see.lua"
# What these codes answer was not executed, and the next attempt may have a nonce of its own.
REFUSALS = ("Throttling", "ServiceUnavailable", "Forbidden", "InvalidAccessKeyId")
USED = "SignatureNonceUsed"
MOST_NONCES = 60
HOLD_MS = 5000


class Broken(AssertionError):
    """A promise was broken."""


class Press(NamedTuple):
    """A digit under one of its nonces, by their numbers; attempts share a nonce until it is used up."""

    task: str
    digit: int
    nonce: int


def insist(holds: object, what: str) -> None:
    """What must hold."""
    if not holds:
        raise Broken(what)


@cache
def _nonces(vault: Vault, task: str, digits: int) -> dict[str, Press]:
    places = [Press(task, d, a) for d in range(1, digits + 1) for a in range(1, MOST_NONCES)]
    return {vault.nonce(vault.kid, *press): press for press in places}


def _mark(hash_: dict[str, str]) -> Press:
    return Press(hash_["task"], int(hash_["digit"]), int(hash_["nonce"]))


class Attempted(NamedTuple):
    """The attempt that is marked on a channel, or was last.

    Attributes:
        press: its digit and nonce.
        number: of the attempt at the digit.
        before: how many copies of anything had been written when it was marked.
    """

    press: Press
    number: int
    before: int


class Watch:
    """Sees every change of state, and remembers what the invariants need."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._see: str = world.redis.script_load(_SEE.read_text(encoding="utf-8"))
        self.reset()

    def reset(self) -> None:
        """A new case."""
        self.marks: dict[str, Press] = {}
        self.attempts: dict[str, Attempted] = {}
        self.marked: set[Press] = set()
        self.found: set[Press] = set()
        self.given_up: dict[Press, int] = {}
        self.blind = False
        self.burns: set[str] = set()
        self.accepted: list[str] = []
        self.due: int | None = None

    def press_of(self, nonce: str) -> Press:
        """The press that a nonce belongs to."""
        for task, given in self._world.given.items():
            press = _nonces(self._world.vault, task, len(given.keys)).get(nonce)
            if press:
                return press
        raise Broken("a nonce that belongs to no task")

    def copies(self, press: Press) -> list["Copy"]:
        """The copies under a nonce that were written."""
        return [copy for copy in self._world.api.copies if copy.press == press]

    def look(self) -> tuple[str | int, ...]:
        """The command that shows how things stand in Redis."""
        return ("EVALSHA", self._see, 0, *self._world.given)

    def after(self, script: str, seen: dict[str, Any], *, busy: bool = False) -> None:
        """A script was carried out, and this is how things stand; busy: it left the channel to another run."""
        self.due = seen.get("due")
        self.burns = set(seen["burns"] or [])
        if self.blind:
            return
        for ch, channel in seen["channels"].items():
            self._channel("" if busy else script, ch, channel)
        self._tasks(seen)

    def take_as_it_is(self, seen: dict[str, Any]) -> None:
        """The server has come back with an older state: of what was before, nothing can be said any more."""
        self.blind = True
        hashes = {ch: channel["hash"] or {} for ch, channel in seen["channels"].items()}
        self.marks = {ch: _mark(hash_) for ch, hash_ in hashes.items() if "task" in hash_}
        self.due = seen.get("due")

    def _channel(self, script: str, ch: str, channel: dict[str, Any]) -> None:
        hash_, queue = channel["hash"] or {}, list(channel["queue"] or [])
        insist(not queue or channel.get("due") is not None, "I7: tasks wait, and nobody will look at their channel")
        mark = _mark(hash_) if "task" in hash_ else None
        before = self.marks.get(ch)
        if mark == before:
            if mark and script == "claim":
                self.found.add(mark)
        else:
            if before:
                insist(script in {"settle", "release"}, f"I2: {script} touched the mark of {before}")
                insist(script == "settle" or not self.written(ch), f"I2: release dropped the mark of {before}")
                self.given_up[before] = self._world.now_ms
            if mark:
                self._new_mark(script, mark)
                self.marks[ch] = mark
            else:
                self.marks.pop(ch, None)
        if mark and script in {"claim", "settle"}:
            self._attempt(ch, mark, int(hash_["attempt"]))
        if mark:
            insist(queue[:1] == [mark.task], f"I1: the mark {mark} is not the head's")

    def written(self, ch: str) -> list["Copy"]:
        """The copies of the last attempt on a channel."""
        attempt = self.attempts[ch]
        return [copy for copy in self._world.api.copies[attempt.before :] if copy.press == attempt.press]

    def _attempt(self, ch: str, mark: Press, number: int) -> None:
        last = self.attempts.get(ch)
        if last and (last.press, last.number) == (mark, number):
            return
        if number > 1:
            right = (*REFUSALS, "InternalError", USED) if self._world.given[mark.task].resend else (*REFUSALS, USED)
            copies = self.written(ch)
            sole = last and last.press[:2] == mark[:2] and last.number == number - 1 and len(copies) == 1
            refused = sole and copies[0].read and copies[0].code.startswith(right)
            insist(refused, f"I3: attempt {number} at {mark} was marked, and the last had not just one copy, refused")
        self.attempts[ch] = Attempted(mark, number, len(self._world.api.copies))

    def _new_mark(self, script: str, mark: Press) -> None:
        insist(script in {"claim", "settle"}, f"I1: {script} wrote a mark")
        given = self._world.given
        if mark.nonce > 1 and mark not in self.marked:
            former = mark._replace(nonce=mark.nonce - 1)
            copies = self.copies(former)
            right = (*REFUSALS, "InternalError") if given[mark.task].resend else REFUSALS
            refused = [copy for copy in copies if copy.read and copy.code.startswith(right)]
            used = [copy for copy in copies if copy.read and copy.code == USED]
            insist(refused and copies == refused + used, f"I3: {mark} was marked, and {former} is open")
            burns = used or refused[-1].code in self.burns
            insist(burns, f"I3: {mark} was marked, and nobody knows whether the nonce of {former} is used up")
        for former in self.marked - {mark}:
            if given[former.task].ch == given[mark.task].ch and not self.closed(former):
                hold_over = former in self.given_up and self.given_up[former] + HOLD_MS <= self._world.now_ms
                insist(hold_over, f"I4: {mark} was marked while {former} was open")
        self.marked.add(mark)

    def closed(self, press: Press) -> bool:
        """No copy of the attempt can be executed any more, and somebody knows."""
        copies = self.copies(press)
        known = any(copy.read and copy.code in {"OK", USED} for copy in copies)
        return known or all(copy.read for copy in copies)

    def _tasks(self, seen: dict[str, Any]) -> None:
        waiting = [task for channel in seen["channels"].values() for task in list(channel["queue"] or [])]
        insist(len(set(waiting)) == len(waiting), "I5: a task waits twice")
        recorded = 0
        for task, at in dict(seen["tasks"] or {}).items():
            recorded += at["record"]
            if (at["task"] or at["record"]) and task not in self.accepted:
                self.accepted.append(task)
            insist(at["task"] == (task in waiting), f"I5: {task} waits without its hash, or has one and does not wait")
            insist(at["payload"] == at["task"], f"I5: {task} has one of hash and payload, and not the other")
            insist(not (at["task"] and at["record"]), f"I5: {task} waits and has a record")
        insist(seen["records"] == recorded, f"I5: {recorded} tasks have a record, and the stream has {seen['records']}")
        insist(seen["waiting"] == len(waiting), "the count of waiting tasks is wrong")
