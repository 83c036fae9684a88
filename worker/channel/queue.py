"""ChannelQueue: the scripts as methods. Each method is one round trip and one change of state."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from redis import Redis
from redis.exceptions import ResponseError

from worker.channel.look import ChannelSeen
from worker.channel.scripts import load_script
from worker.channel.server import as_outage
from worker.channel.steps import Mark, Step, Verdict, read_step

_SCRIPTS = (
    "enqueue",
    "claim",
    "settle",
    "release",
    "beat",
    "cancel",
    "pause",
    "resume",
    "purge",
    "sweep",
    "status",
    "refuse",
    "refusal",
    "look",
)

# An account that is refused now and then raises an alarm so often at the most.
_QUIET_MS = 600_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers of the protocol; times in ms.

    Attributes:
        lease: how long a run holds its channel without a sign of life.
        break_: how long a broken line refuses new tasks.
        record_ttl: how long records are kept.
        channel_limit: most tasks that wait on one channel.
        system_limit: most tasks that wait in all.
        rate_per_second: most digits of the whole fleet a second; 0 for no limit.
        probe: longest time between two requests that try whether the API still refuses the account.
        step_wait: the longest wait that a run sits out; for a longer one it lets its channel go.
    """

    lease: int = 1200
    break_: int = 30_000
    record_ttl: int = 86_400_000
    channel_limit: int = 1000
    system_limit: int = 100_000
    rate_per_second: float = 0
    probe: int = 4000
    step_wait: int = 1000


@dataclass(frozen=True, slots=True)
class Signer:
    """With what a run would sign the next attempt: fingerprints of the secret key and of the AccessKeyId."""

    kid: str
    ak: str


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task as the queue takes it: what the scripts must know in clear, and the rest encrypted.

    Attributes:
        id: the task's id.
        ch: digest of its channel.
        n: number of its digits.
        lead_ms: pause before its first digit.
        expires_in_ms: time to its deadline from now.
        deadline_ms: its deadline, in ms since 1970, or 0; the earlier of the two counts.
        go_on: not cancelled when a task ahead of it fails.
        payload: what the run needs, encrypted.
        instance_id: the instance that it names, for its record; None if it leaves that to the worker's settings.
        start_at_ms: before this moment, in ms since 1970, none of its digits is sent; 0 for none.
        callbacks: what its producer wants done once it has ended, encrypted; handed on with its record.
    """

    id: str
    ch: str
    n: int
    lead_ms: int
    expires_in_ms: int
    deadline_ms: int
    go_on: bool
    payload: str
    instance_id: str | None = None
    start_at_ms: int = 0
    callbacks: str | None = None


def task_fields(task: NewTask) -> dict[str, Any]:
    """A task as the scripts take it."""
    fields: dict[str, Any] = {
        "id": task.id,
        "n": task.n,
        "lead": task.lead_ms,
        "expires_in": task.expires_in_ms,
        "deadline": task.deadline_ms,
        "start_at": task.start_at_ms,
        "go_on": "1" if task.go_on else "0",
        "payload": task.payload,
    }
    if task.instance_id:
        fields["instance_id"] = task.instance_id
    if task.callbacks:
        fields["callbacks"] = task.callbacks
    return fields


@dataclass(frozen=True, slots=True)
class Purged:
    """What became of the tasks of a channel that was purged.

    Attributes:
        ended: how many ended now.
        in_progress: the task that ends before its next digit, or None.
        broke_line: one that ended had been sent in part, so that the channel takes no new tasks for a while.
    """

    ended: int
    in_progress: str | None
    broke_line: bool


class Found(NamedTuple):
    """Channels that wait and that nobody serves.

    Attributes:
        left: no message is on its way for them: their run is over, dead or has waited long enough.
        in_line: they had no run yet, or were found before: a message may wait in line for them.
    """

    left: list[str]
    in_line: list[str]


class ChannelQueue:
    """The channel queues of one Redis server. Safe for threads.

    Every method raises redis-py's errors as they come; after one of them the call may or may not have been
    carried out.
    """

    def __init__(self, client: "Redis", limits: Limits, *, worker: str | None = None) -> None:
        """Use a client that does not retry (worker.channel.server.connect); worker: the name in records."""
        self._client = client
        self._run = {name: load_script(client, name) for name in _SCRIPTS}
        self._limits = limits
        self._end = {"record_ttl": limits.record_ttl, "break_ms": limits.break_}
        if worker:
            self._end["worker"] = worker  # type: ignore[assignment]
        self._step = {**self._end, "lease": limits.lease, "step_wait": limits.step_wait, "rate": limits.rate_per_second}
        door = {"channel_limit": limits.channel_limit, "system_limit": limits.system_limit}
        self._door = {"break_ms": limits.break_, **door}

    def _call(self, name: str, *args: Any) -> list[Any]:
        try:
            return cast(list[Any], self._run[name](args=args))
        except ResponseError as error:
            raise as_outage(error) from None

    def _env(self, signer: Signer | None, *, stop: bool) -> str:
        signs = {"kid": signer.kid, "ak": signer.ak} if signer else {}
        return json.dumps({**self._step, **signs, "stop": stop})

    def enqueue(self, *tasks: NewTask) -> list[Any]:
        """Append tasks of one channel, all or none; enqueue.lua lists the answers. A known id changes nothing."""
        fields = json.dumps([task_fields(task) for task in tasks])
        return self._call("enqueue", json.dumps(self._door), tasks[0].ch, fields)

    def enqueue_many(self, channels: Sequence[tuple[Sequence[NewTask], bool]]) -> list[Any]:
        """Append tasks of many channels in one round trip, each channel's as enqueue does.

        Args:
            channels: the tasks of each; and whether the caller will publish a message for it, or leave that to the
                sweepers.

        Returns:
            An answer of enqueue.lua, or an error of redis-py's, for each.
        """
        with self._client.pipeline(transaction=False) as pipe:
            for tasks, publish in channels:
                env = json.dumps({**self._door, "sweep": not publish})
                fields = json.dumps([task_fields(task) for task in tasks])
                self._run["enqueue"](args=[env, tasks[0].ch, fields], client=pipe)
            return list(pipe.execute(raise_on_error=False))

    def claim(self, ch: str, token: str, signer: Signer | None, *, stop: bool = False) -> Step:
        """Take a channel for the run with this token, or go on with it; without a signer nothing new is marked."""
        return read_step(self._call("claim", self._env(signer, stop=stop), ch, token))

    def settle(
        self,
        ch: str,
        token: str,
        mark: Mark,
        verdict: Verdict,
        signer: Signer | None,
        *,
        stop: bool = False,
        pause_ms: int = 0,
        **facts: Any,
    ) -> Step:
        """Give the verdict on an attempt and learn what comes next.

        Args:
            ch: digest of the channel.
            token: the run's token.
            mark: the attempt.
            verdict: what became of it.
            signer: with what the run would sign the next attempt.
            stop: hand the channel over now.
            pause_ms: see settle.lua.
            facts: code, error, http_status, request_id, answer, gone, throttled, nonce_used, undetermined; None where
                not known.
        """
        told = {"is": verdict, "pause": pause_ms, **{k: v for k, v in facts.items() if v is not None}}
        place = {"task": mark.task, "digit": mark.digit, "attempt": mark.attempt}
        env = self._env(signer, stop=stop)
        return read_step(self._call("settle", env, ch, token, json.dumps(place), json.dumps(told)))

    def release(self, ch: str, token: str, *, pause_ms: int, unsent: bool, throttled: bool) -> Step:
        """Let go of a channel before its marked attempt is settled.

        Args:
            ch: digest of the channel.
            token: the run's token.
            pause_ms: until the next copy may be sent; 0 if a message for the channel is published.
            unsent: no copy of the attempt can have been written.
            throttled: a copy was refused as not executed while another may exist.
        """
        flags = ("1" if flag else "0" for flag in (unsent, throttled))
        return read_step(self._call("release", ch, token, pause_ms, *flags))

    def beat(self, runs: Iterable[tuple[str, str]]) -> list[str]:
        """Renew the leases of these (channel, token); answers the channels that were lost."""
        return self._call("beat", self._limits.lease, *(part for run in runs for part in run))

    def cancel(self, task_id: str) -> list[Any]:
        """End a task by its producer's wish; cancel.lua lists the answers."""
        return self._call("cancel", json.dumps(self._end), task_id)

    def pause(self, ch: str) -> int:
        """Send nothing more on a channel until resume; answers how many tasks wait."""
        return cast(int, self._call("pause", ch, self._limits.record_ttl))

    def resume(self, ch: str) -> bool:
        """End a pause and acknowledge a break; answers whether a message for the channel must be published."""
        return self._call("resume", ch) == ["PUBLISH"]

    def purge(self, ch: str) -> Purged:
        """Cancel every task that waits on a channel."""
        ended, flagged, breaker = self._call("purge", json.dumps(self._end), ch)
        return Purged(ended, flagged or None, bool(breaker))

    def sweep(self, most: int, *, overdue_ms: int = 0) -> Found:
        """The channels, so many at the most, that wait and that nobody serves, and that are due for so long."""
        return Found(*self._call("sweep", json.dumps(self._end), most, overdue_ms))

    def refuse(self, code: str, *, probe: bool) -> bool:
        """Pause the fleet's requests: the API refuses the account or the clock.

        Args:
            code: the API's Code.
            probe: the refused digit was sent to try.

        Returns:
            Whether the caller raises the alarm; else somebody did.
        """
        return self._call("refuse", self._limits.probe, code, "1" if probe else "0", _QUIET_MS) == ["ALARM"]

    def refusal(self) -> tuple[str, int] | None:
        """The API's Code and the ms since requests pause because of it; None if they do not."""
        answer = self._call("refusal")
        return (answer[0], answer[1]) if answer else None

    def status(self, task_id: str) -> list[Any]:
        """How a task stands; status.lua lists the answers."""
        return self._call("status", task_id)

    def look(self, ch: str, most: int) -> ChannelSeen:
        """A channel at one moment, with so many of its tasks at the most, at least 1."""
        return ChannelSeen.read(ch, str(self._run["look"](args=[ch, most])), self._limits.break_)

    def payloads(self, task_ids: Iterable[str]) -> list[str | None]:
        """The encrypted payloads of tasks; None for one that waits no more."""
        with self._client.pipeline(transaction=False) as pipe:
            for task_id in task_ids:
                pipe.get(f"dtmf:p:{task_id}")
            return list(pipe.execute())
