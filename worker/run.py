"""serve(ch): the run. The one place where the channel queue and the API meet; it reads like docs/protocol.md."""

import json
import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol, cast

from worker.attempt import Attempt, Fate
from worker.ccc import (
    Answer,
    ApiError,
    CccClient,
    Credentials,
    CredentialsProvider,
    KeyPress,
    NoCredentials,
    Refused,
    TooLate,
    Unanswered,
    Undetermined,
)
from worker.channel.queue import ChannelQueue, Signer
from worker.channel.server import OUTAGE
from worker.channel.steps import Left, Send, Step, Verdict, Wait
from worker.clock import clock
from worker.errors import DtmfError, UnknownSecretKey
from worker.lease import AtWork, Run
from worker.monitoring.logs import Event
from worker.monitoring.reports import report_refused
from worker.task import Payload
from worker.vault import Vault

log = logging.getLogger(__name__)

_OUTAGE_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of a run, in seconds.

    Attributes:
        slice: how long it keeps a busy channel.
        hold: how long the channel waits after a digit that may still be executed.
        step: the longest wait that it sits out; for a longer one it lets the channel go.
        request: the longest request in all.
        redis: the longest call to Redis.
        outage: how long it keeps what it knows while Redis does not answer.
        farewell: the same, once the worker was told to stop.
    """

    slice: float = 5.0
    hold: float = 5.0
    step: float = 1.0
    request: float = 6.0
    redis: float = 3.0
    outage: float = 20.0
    farewell: float = 4.0


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a task that names no instance, agent or device is sent with."""

    instance_id: str
    user_id: str
    device_id: str


class Heartbeat(Protocol):
    """Renews the lease of a run while the context lasts and the run is busy."""

    def __call__(self, run: Run) -> AbstractContextManager[Run]:
        """The context of one run."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What every run of a worker shares.

    Attributes:
        queue: the channel queues.
        client: the API.
        credentials: with what to sign.
        vault: nonces and encryption.
        defaults: for tasks that leave them out.
        pace: the times of a run.
        heartbeat: renews leases.
        publish: sends the message "serve this channel"; it does not raise.
        stopping: set when the worker was told to stop.
    """

    queue: ChannelQueue
    client: CccClient
    credentials: CredentialsProvider
    vault: Vault
    defaults: Defaults
    pace: Pace
    heartbeat: Heartbeat
    publish: Callable[[str], None]
    stopping: threading.Event


def serve(parts: Parts, ch: str) -> None:
    """Send what waits on a channel, in order, until it is empty or somebody else's turn."""
    if parts.stopping.is_set():
        parts.publish(ch)
        return
    if _Serve(parts, ch).run_to_end() is Left.HANDED:
        parts.publish(ch)


class _Serve:
    """One run."""

    def __init__(self, parts: Parts, ch: str) -> None:
        self._parts = parts
        self._queue = parts.queue
        self._pace = parts.pace
        self._run = Run(ch)
        self._asked = clock()
        self._credentials: Credentials | None = None
        self._payload: tuple[str, Payload | None] = ("", None)
        self._pause_after_ms = 0
        self._repeated = False

    def run_to_end(self) -> Left:
        try:
            step = self._claim()
        except OUTAGE as error:
            # It needs no repeat: if it was carried out, the lease runs out, and the sweeper finds the channel.
            log.warning(Event("run.abandoned", ch=self._run.ch, error=type(error).__name__))
            return Left.STALE
        if isinstance(step, Left):
            return step
        log.debug(Event("run.claimed", ch=self._run.ch))
        with self._parts.heartbeat(self._run):
            while not isinstance(step, Left):
                step = self._wait(step) if isinstance(step, Wait) else self._send(step)
        log.debug(Event("run.ended", ch=self._run.ch, left=step))
        return step

    @property
    def _stop(self) -> bool:
        """Whether to let the channel go at the next step: the worker stops, or the time slice is over."""
        return self._parts.stopping.is_set() or clock() > self._run.started + self._pace.slice

    def _signer(self) -> Signer | None:
        """With what the next attempt will be signed: a mark names the credentials that are used for it.

        None while there are no credentials: then nothing is marked, and tasks end at their deadlines all the same.
        """
        try:
            self._credentials = self._parts.credentials.get()
        except NoCredentials:
            self._credentials = None
            return None
        return Signer(self._parts.vault.kid, self._credentials.fingerprint)

    # Steps of the queue

    def _claim(self) -> Step:
        self._asked = clock()
        step = self._queue.claim(self._run.ch, self._run.token, self._signer(), stop=self._stop)
        # Whatever the heartbeat heard of an earlier lease: if the step is one to take, the channel is this run's.
        self._run.lost = False
        self._run.vouched = self._asked
        return step

    def _wait(self, step: Wait) -> Step:
        self._run.busy_for(step.ms / 1000 + self._pace.redis)
        self._parts.stopping.wait(step.ms / 1000)
        return self._insist(self._claim)

    def _insist(self, call: Callable[[], Step]) -> Step:
        """Make a call that may safely be made twice until Redis answers it; STALE if it was made before.

        What this run knows of its digit, no other can find out as surely, so it is kept through an outage.
        """
        began = clock()
        self._repeated = False
        while True:
            self._run.busy_for(self._pace.redis + 1)
            try:
                return call()
            except OUTAGE as error:
                patience = self._pace.farewell if self._parts.stopping.is_set() else self._pace.outage
                if clock() > began + patience:
                    log.warning(Event("run.abandoned", ch=self._run.ch, error=type(error).__name__))
                    self._repeated = False
                    return Left.STALE
                self._repeated = True
                time.sleep(_OUTAGE_PAUSE_S)

    def _settle(self, step: Send, fate: Fate) -> Step:
        error, answer = fate.error, fate.answer
        facts = {
            "code": answer.code if answer else (error.code if error else None),
            "http_status": answer.http_status if answer else (error.http_status if error else None),
            "request_id": answer.request_id if answer else (error.request_id if error else None),
            "error": None if answer else _error_name(fate),
            "gone": fate.gone,
            "throttled": fate.throttled_ms,
            "nonce_used": fate.nonce_used or None,
            "undetermined": isinstance(error, Undetermined) or None,
            "answer": self._parts.vault.encrypt(json.dumps(answer.contexts()), step.mark.task) if answer else None,
        }

        def call() -> Step:
            self._asked = clock()
            after = self._queue.settle(
                self._run.ch,
                self._run.token,
                step.mark,
                fate.verdict,
                self._signer(),
                stop=self._stop,
                pause_ms=self._pause_ms(fate),
                **facts,
            )
            self._run.vouched = self._asked
            return after

        told = {name: facts[name] for name in ("code", "http_status", "request_id")}
        event = self._event("digit.settled", step, verdict=fate.verdict, **told, reason=error and str(error))
        log.log(_level(fate), event)
        step_after = self._insist(call)
        if step_after is Left.STALE and self._repeated:
            # The lost answer may have been the one that carried the next step: the claim asks for it again.
            found = self._insist(self._claim)
            if isinstance(found, Send) and found.mark == step.mark:
                # Not carried out after all: the server restarted. Sending again would take the refused nonce of a
                # digit that was not heard for one that was. Another run may have sent a copy in between.
                known = fate.verdict in {Verdict.OK, Verdict.PRESUMED}
                return self._settle(found, fate if known else replace(fate, verdict=Verdict.UNKNOWN, may_arrive=True))
            return found
        return step_after

    def _pause_ms(self, fate: Fate) -> int:
        """The pause that goes with the verdict; settle.lua says what it means for each."""
        match fate.verdict:
            case Verdict.OK | Verdict.PRESUMED:
                return self._pause_after_ms
            case Verdict.RETRY:
                return int(fate.retry_s * 1000)
            case Verdict.UNKNOWN if fate.may_arrive:
                return int(self._pace.hold * 1000)
            case _:
                return 0

    def _release(self, attempt: Attempt, pause_s: float) -> Step:
        leaving = self._parts.stopping.is_set()
        answer = self._insist(
            lambda: self._queue.release(
                self._run.ch,
                self._run.token,
                pause_ms=0 if leaving else int(pause_s * 1000),
                unsent=not attempt.doubt,
                throttled=attempt.throttled,
            )
        )
        # A worker that leaves hands over at once. Else the sweeper brings the channel back when its pause is over.
        if not leaving:
            return Left.LATER
        # STALE to a repeated call: the first one was carried out, and its answer lost.
        return Left.HANDED if self._repeated else answer

    # The attempt

    def _send(self, step: Send) -> Step:
        log.debug(self._event("digit.marked", step))
        deadline = self._asked + step.left_ms / 1000
        attempt = Attempt(step.mark.attempt, step.doubt, step.throttled, resend=False)
        if clock() >= deadline:
            return self._settle(step, attempt.out_of_time())
        try:
            payload = self._open(step)
            nonce = self._parts.vault.nonce(step.mark.kid, step.mark.task, step.mark.digit, step.mark.nonce)
            press = self._key_press(payload, step.mark.digit)
            self._pause_after_ms = max(payload.gap_ms, payload.pauses_ms[step.mark.digit - 1])
        except UnknownSecretKey as error:
            # Another worker may have the key. If none has, the task ends at its deadline.
            log.error(self._event("task.unreadable", step, reason=str(error)))
            return self._release(attempt, self._pace.step)
        except (DtmfError, LookupError, TypeError, ValueError, AttributeError) as error:
            # Nothing can be sent of such a task, and a run that raised would come back to it for ever.
            reason = str(error) if isinstance(error, DtmfError) else type(error).__name__
            log.error(self._event("task.unreadable", step, reason=reason))
            return self._settle(step, Fate(Verdict.UNKNOWN, may_arrive=True))
        if self._credentials is None:
            return self._release(attempt, self._pace.step)
        if step.mark.ak != self._credentials.fingerprint:
            # The API may count nonces for each AccessKey: under another one a copy could press the key twice.
            return self._settle(step, Fate(Verdict.UNKNOWN, may_arrive=True))
        attempt.resend = payload.on_unknown == "resend"
        return self._send_copies(step, attempt, press, nonce, deadline)

    def _send_copies(self, step: Send, attempt: Attempt, press: KeyPress, nonce: str, deadline: float) -> Step:
        """Send copies of the attempt until an answer settles it, or the channel is let go."""
        while True:
            if clock() >= deadline:
                return self._settle(step, attempt.out_of_time())
            if self._run.lost:
                return Left.STALE
            if self._parts.stopping.is_set() or (attempt.copies and self._stop):
                return self._release(attempt, attempt.pause_s)
            # A successor that gave the attempt up has held the channel since, but no longer than that.
            write_by = min(deadline, self._run.vouched + self._pace.hold)
            if clock() >= write_by:
                # Let go and not claimed again: what this run knows of its copies goes with the mark.
                return self._release(attempt, 0)
            fate = self._copy(attempt, press, nonce, step, write_by)
            if fate:
                return self._settle(step, fate)
            if attempt.pause_s > self._pace.step:
                # The record of a digit that runs out of time comes at its deadline.
                pause_s = max(0.0, min(attempt.pause_s, deadline - clock()))
                return self._release(attempt, pause_s)
            self._run.busy_for(attempt.pause_s + self._pace.redis)
            self._parts.stopping.wait(min(attempt.pause_s, max(0.0, deadline - clock())))

    def _copy(self, attempt: Attempt, press: KeyPress, nonce: str, step: Send, write_by: float) -> Fate | None:
        """Send one copy of the attempt, and judge its answer; None also if it could not be written in time."""
        self._run.busy_for(self._pace.request + self._pace.redis)
        result: Answer | ApiError
        credentials = cast(Credentials, self._credentials)
        try:
            result = self._parts.client.send_dtmf(
                press, credentials, nonce=nonce, signed_at=step.mark.signed_at, not_after=write_by
            )
        except TooLate:
            attempt.pause_s = 0
            return None
        except ApiError as error:
            result = error
        attempt.copies += 1
        if isinstance(result, Unanswered):
            level = logging.DEBUG if attempt.copies > 1 or step.doubt else logging.WARNING
            log.log(level, self._event("digit.unanswered", step, http_status=result.http_status, reason=str(result)))
        if isinstance(result, Refused):
            self._refuse(result, step, doubt=attempt.doubt)
        return attempt.judge(result)

    def _refuse(self, error: Refused, step: Send, *, doubt: bool) -> None:
        """Pause the fleet's requests, and raise the one alarm, if the account or the clock is wrong."""
        if doubt and "timestamp" in (error.code or "").lower():
            return  # a copy that is too old is refused for its age
        try:
            if self._queue.refuse(error.code or "unreadable", probe=step.probe):
                report_refused(error.code, str(error))
        except OUTAGE:
            log.warning(Event("alarm.untold", code=error.code, reason=str(error)))

    def _open(self, step: Send) -> Payload:
        """The head task's payload; decrypted once for all its digits."""
        task, payload = self._payload
        if payload is None or task != step.mark.task:
            payload = Payload.from_json(self._parts.vault.decrypt(step.payload, step.mark.task))
            self._payload = (step.mark.task, payload)
            self._run.at_work = AtWork(step.mark.task, self._run.ch, len(payload.keys), payload.instance_id)
        return payload

    def _key_press(self, payload: Payload, digit: int) -> KeyPress:
        defaults = self._parts.defaults
        return KeyPress(
            channel_id=payload.channel_id,
            job_id=payload.job_id,
            dtmf=payload.keys[digit - 1],
            instance_id=payload.instance_id or defaults.instance_id,
            user_id=payload.user_id or defaults.user_id,
            device_id=payload.device_id or defaults.device_id,
        )

    def _event(self, name: str, step: Send, **fields: object) -> Event:
        mark = step.mark
        return Event(name, task=mark.task, ch=self._run.ch, digit=mark.digit, attempt=mark.attempt, **fields)


def _level(fate: Fate) -> int:
    """An operator is told of a digit that was refused, or of which nobody knows; not of a call that has ended."""
    trouble = fate.verdict is Verdict.UNKNOWN or (fate.verdict is Verdict.FAILED and not fate.gone)
    return logging.WARNING if trouble else logging.DEBUG


def _error_name(fate: Fate) -> str | None:
    match fate.verdict:
        case Verdict.FAILED:
            return type(fate.error).__name__
        case Verdict.UNKNOWN:
            return "TaskUnknown"
        case Verdict.EXPIRED:
            return "TaskExpired"
        case _:
            return None
