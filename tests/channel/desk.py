"""Desk: the channel queue as these tests use it. Short words for the calls, and a look behind the scenes."""

import json
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis import Redis

from worker.channel.queue import ChannelQueue, Limits, NewTask, Signer
from worker.channel.steps import Send, Step, Verdict, Wait
from worker.record import Digit, Record

CH = "c" * 32
SIGNER = Signer(kid="kid-1", ak="ak-1")
PAYLOAD = "the-encrypted-payload"
LONG_AGO = 1
T = TypeVar("T")


def eventually(look: Callable[[], T], limit: float = 30.0) -> T:
    """What look gives as soon as it gives something; fails after so many seconds."""
    end = time.monotonic() + limit
    while not (found := look()):
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.01)
    return found


class Desk:
    """One server's channel queues, the server's keys beside them."""

    def __init__(self, client: Redis, **limits: Any) -> None:
        # A lease that no busy machine outlasts by chance; tests end leases by hand.
        self.limits = Limits(**{"lease": 60_000, **limits})
        self.queue = ChannelQueue(client, self.limits, worker="tester")
        self.redis: Any = client

    # The calls

    def enqueue(
        self,
        task: str,
        *,
        ch: str = CH,
        n: int = 1,
        lead: int = 0,
        expires_in: int = 60_000,
        deadline: int = 0,
        go_on: bool = False,
    ) -> list[Any]:
        return self.queue.enqueue(NewTask(task, ch, n, lead, expires_in, deadline, go_on, PAYLOAD))

    def claim(self, token: str, *, ch: str = CH, signer: Signer = SIGNER, stop: bool = False) -> Step:
        return self.queue.claim(ch, token, signer, stop=stop)

    def sweep(self, most: int, *, overdue_ms: int = 0) -> list[str]:
        left, in_line = self.queue.sweep(most, overdue_ms=overdue_ms)
        return left + in_line

    def take(self, token: str, *, ch: str = CH) -> Send:
        """Claim a channel that has a digit to send."""
        return sent_on(self.claim(token, ch=ch))

    def settle(
        self,
        token: str,
        step: Step,
        verdict: Verdict,
        *,
        ch: str = CH,
        pause: int = 0,
        stop: bool = False,
        **facts: Any,
    ) -> Step:
        mark = sent_on(step).mark
        return self.queue.settle(ch, token, mark, verdict, SIGNER, stop=stop, pause_ms=pause, **facts)

    def release(
        self, token: str, *, ch: str = CH, pause: int = 1000, unsent: bool = False, throttled: bool = False
    ) -> Step:
        return self.queue.release(ch, token, pause_ms=pause, unsent=unsent, throttled=throttled)

    # Time that passes, without waiting for it

    def lease_over(self, ch: str = CH) -> None:
        self.redis.hset(f"dtmf:ch:{ch}", "lease_until", LONG_AGO)

    def pause_over(self, ch: str = CH) -> None:
        """Whatever the channel waits for is over."""
        self.redis.delete("dtmf:pace")
        for field in ("not_before", "hold_until"):
            if self.redis.hexists(f"dtmf:ch:{ch}", field):
                self.redis.hset(f"dtmf:ch:{ch}", field, self.now() - 1)
        for task in self.waiting(ch)[:1]:
            if self.redis.hexists(f"dtmf:t:{task}", "lead_until"):
                self.redis.hset(f"dtmf:t:{task}", "lead_until", LONG_AGO)

    def deadline_over(self, task: str) -> None:
        self.redis.hset(f"dtmf:t:{task}", "deadline", LONG_AGO)

    def break_aged(self, ch: str = CH) -> None:
        self.redis.hset(f"dtmf:ch:{ch}", "broken_at", LONG_AGO)

    def sweep_due(self, ch: str = CH) -> None:
        self.redis.zadd("dtmf:due", {ch: LONG_AGO})

    def restarted(self) -> None:
        """What is there looks as it would after a restart of the server: it is of an earlier boot."""
        for key in [*self.redis.keys("dtmf:ch:*"), *self.redis.keys("dtmf:t:*")]:
            if self.redis.hexists(key, "boot"):
                self.redis.hset(key, "boot", "an-earlier-boot")

    # What is there

    def now(self) -> int:
        seconds, micros = self.redis.time()
        return int(seconds) * 1000 + int(micros) // 1000

    def channel(self, ch: str = CH) -> dict[str, str]:
        found: dict[str, str] = self.redis.hgetall(f"dtmf:ch:{ch}")
        return found

    def task(self, task: str) -> dict[str, str]:
        found: dict[str, str] = self.redis.hgetall(f"dtmf:t:{task}")
        return found

    def waiting(self, ch: str = CH) -> list[str]:
        found: list[str] = self.redis.lrange(f"dtmf:q:{ch}", 0, -1)
        return found

    def counted(self) -> int:
        return int(self.redis.get("dtmf:waiting") or 0)

    def due(self, ch: str = CH) -> float | None:
        found: float | None = self.redis.zscore("dtmf:due", ch)
        return found

    def record(self, task: str) -> Record:
        """The record of a task that has ended; checked against its model, unknown fields included."""
        text = self.redis.hget(f"dtmf:rec:{task}", "record")
        assert text, f"{task} has no record"
        assert set(json.loads(text)) <= set(Record.model_fields)
        assert all(set(digit) <= set(Digit.model_fields) for digit in json.loads(text)["digits"])
        return Record.model_validate_json(text)

    def state(self, task: str) -> str:
        return str(self.record(task).state)

    def outcomes(self, task: str) -> list[str]:
        return [str(digit.outcome) for digit in self.record(task).digits]

    def stream(self) -> list[Record]:
        """All records in the order in which they were settled."""
        entries = self.redis.xrange("dtmf:records")
        return [Record.model_validate_json(fields["record"]) for _, fields in entries]

    def settled(self) -> list[tuple[str, str]]:
        return [(record.id, str(record.state)) for record in self.stream()]


def sent_on(step: Step) -> Send:
    """The step, which must be a digit to send."""
    assert isinstance(step, Send), step
    return step


def waited(step: Step) -> int:
    """The ms of the step, which must be a wait."""
    assert isinstance(step, Wait), step
    return step.ms


def place(step: Step) -> tuple[str, int, int]:
    """Task, digit and attempt of the step, which must be a digit to send."""
    mark = sent_on(step).mark
    return mark.task, mark.digit, mark.attempt
