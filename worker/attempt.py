"""What the answers to the copies of one attempt mean: the rules of docs/protocol.md, without any input or output.

Doubt: an earlier copy of the attempt may exist, sent by this run (an unanswered one) or by another (the mark was
found, or the task is older than the server's boot). A next attempt is made only if exactly one copy was sent and it
was answered; it has the same nonce, unless the API has used that up.
"""

import random
from dataclasses import dataclass, field

from worker.ccc import Answer, ApiError, Gone, NotExecuted, Refused, ReplayRefused, Unanswered, Undetermined
from worker.channel.steps import Verdict

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
# Longer than until the first probe, so that a channel whose instance alone is refused does not keep the others waiting.
REFUSED_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Fate:
    """A settled attempt.

    Attributes:
        verdict: what settle is told.
        may_arrive: a copy may still be on its way; the channel must be held.
        retry_s: for RETRY, the pause before the next attempt.
        nonce_used: for RETRY, that needs a new nonce.
        answer: of the API, where it said OK.
        error: of the API, where it said anything else.
    """

    verdict: Verdict
    may_arrive: bool = False
    retry_s: float = 0
    nonce_used: bool = False
    answer: Answer | None = None
    error: ApiError | None = None

    @property
    def throttled_ms(self) -> int | None:
        """If the account's quota is used up: the pause that the API asked for, 0 if for none. Else None."""
        is_throttled = isinstance(self.error, NotExecuted) and (self.error.code or "").startswith("Throttling")
        return (self.error.retry_after_ms or 0) if self.error and is_throttled else None

    @property
    def gone(self) -> bool:
        """Whether the call is over, so that nothing behind it can be sent either."""
        return isinstance(self.error, Gone)


@dataclass(slots=True)
class Attempt:
    """The copies of one attempt.

    Attributes:
        number: of the attempt at its digit, from 1.
        doubt: an earlier copy may exist.
        throttled: a copy under this nonce was refused as not executed, of this attempt or of the one before. It may
            have burnt the nonce.
        resend: the task wants a digit of unknown fate pressed again.
        copies: how many this run sent.
        pause_s: after judge answered None, how long to wait before the next copy.
    """

    number: int
    doubt: bool
    throttled: bool
    resend: bool
    copies: int = 0
    pause_s: float = field(default=0, init=False)

    def out_of_time(self) -> Fate:
        """The deadline passed: what is true of a digit that cannot be sent any more."""
        return Fate(Verdict.UNKNOWN if self.doubt else Verdict.EXPIRED, may_arrive=self.doubt)

    def judge(self, result: Answer | ApiError) -> Fate | None:
        """What the answer to a copy settles; None: send a further copy of the same attempt after a pause."""
        match result:
            case Answer():
                return Fate(Verdict.OK, answer=result)
            case Unanswered():
                # Where not a byte was written, no copy can arrive.
                self.doubt = self.doubt or result.written
                self.pause_s = back_off(self.copies)
                return None
            case NotExecuted() if self.doubt:
                self.throttled = True
                self.pause_s = max(back_off(self.copies), _asked_pause(result))
                return None
            case NotExecuted():
                return self._retry(result)
            case ReplayRefused():
                return self._nonce_used(result)
            case Undetermined() if self.resend and not self.doubt:
                return self._retry(result)
            case Refused() if not self.doubt:
                # The account's fault and not the digit's: it waits until its deadline for an operator.
                return Fate(Verdict.RETRY, retry_s=max(REFUSED_PAUSE_S, back_off(self.number)), error=result)
            case Undetermined():
                return Fate(Verdict.UNKNOWN, may_arrive=self.doubt, error=result)
            case _ if self.doubt:
                return Fate(Verdict.UNKNOWN, may_arrive=True, error=result)
            case _:
                return Fate(Verdict.FAILED, error=result)

    def _nonce_used(self, error: ReplayRefused) -> Fate:
        """Whichever copy used the nonce up, no other can be executed any more."""
        if not self.throttled:
            return Fate(Verdict.PRESUMED, error=error)
        if self.doubt:
            return Fate(Verdict.UNKNOWN, error=error)
        # Each copy was answered, and none was executed: a refusal has burnt the nonce.
        return Fate(Verdict.RETRY, nonce_used=True, error=error)

    def _retry(self, error: ApiError) -> Fate:
        return Fate(Verdict.RETRY, retry_s=max(back_off(self.number), _asked_pause(error)), error=error)


def back_off(tries: int) -> float:
    """Seconds to wait after so many tries: doubling, with a random part that keeps workers apart."""
    longest: float = min(FIRST_PAUSE_S * 2 ** min(tries, 10), LONGEST_PAUSE_S)
    return longest * random.uniform(0.5, 1)  # noqa: S311 - spreads load, guards nothing


def _asked_pause(error: ApiError) -> float:
    return (error.retry_after_ms or 0) / 1000
