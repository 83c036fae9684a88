"""The API in process: the simulator's own service, behind the client's own signing and reading, without a wire."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.enumerate.watch import Press
from worker.ccc import Answer, Credentials, KeyPress, TooLate, Unanswered, parse_answer
from worker.ccc.classify import raise_for
from worker.ccc.signing import Stamp, sign_request
from worker.clock import clock
from worker.simulator.config import DEMO_ACCOUNT, SimulatorConfig
from worker.simulator.scene import Scene as SimulatorScene
from worker.simulator.service import Exchange, Service

HOST = "ccc.test"
CREDENTIALS = Credentials(DEMO_ACCOUNT.id, DEMO_ACCOUNT.secret)
INSTANCE = "ccc-test"
CONFIG = SimulatorConfig(instances=(INSTANCE,))


@dataclass(slots=True)
class Copy:
    """One request that was written.

    Attributes:
        press: its attempt.
        key: the digit.
        looked_at: the clock when the worker looked at the deadline for the last time, in s.
        written_at: the clock when it was written.
        not_after: the deadline.
        code: what the API answered, "" if no answer was made.
        heard: the number of the digit that it executed, if it did.
        by: who wrote it.
        dropped: the answer will not arrive.
        read: the run read the answer.
    """

    press: Press
    key: str
    looked_at: float
    written_at: float
    not_after: float
    by: str
    code: str = ""
    heard: int | None = None
    dropped: bool = False
    read: bool = False


class Api:
    """Stands in for CccClient.

    press_of knows the attempt of a nonce. at is called at each boundary; it may never return (the worker died), and
    answers whether the network loses what is on its way there. changed is called when something is written; who names
    the actor that has the word.
    """

    def __init__(
        self,
        press_of: Callable[[str], Press],
        at: Callable[[str], bool],
        now: Callable[[], float],
        changed: Callable[[], None],
        who: Callable[[], str],
    ) -> None:
        self._press_of = press_of
        self._at = at
        self._now = now
        self._changed = changed
        self._who = who
        self.reset(SimulatorScene())

    def reset(self, scene: SimulatorScene) -> None:
        """A new call, and what is to become of its requests."""
        self.service = Service(CONFIG, self._now, self._now)
        self.service.set_scene(scene)
        # A quota whose rule applies is used up.
        for state in self.service.stage.rules:
            if state._bucket:
                state._bucket.take()
        self.copies: list[Copy] = []

    @property
    def heard(self) -> str:
        """The keys that were executed, in order."""
        return "".join(heard.key for heard in self.service.log.heard)

    def send_dtmf(
        self, press: KeyPress, credentials: Credentials, *, nonce: str, signed_at: int, not_after: float
    ) -> Answer:
        """As CccClient does, with boundaries before the request is written and before the answer is read."""
        looked_at = clock()
        if looked_at >= not_after:
            raise TooLate("too late")
        lost = self._at("request")
        copy = Copy(self._press_of(nonce), press.dtmf, looked_at, clock(), not_after, self._who())
        self.copies.append(copy)
        self._changed()
        if lost:
            raise Unanswered("the request was lost")
        signed = sign_request("v3", press.params(), credentials, Stamp(nonce, signed_at), host=HOST)
        exchange = _carry(self.service, signed.target, signed.headers)
        copy.heard = exchange.heard
        answer = exchange.answer
        copy.code = answer.code if answer else ""
        copy.dropped = exchange.plan.drop is not None
        if self._at("answer") or copy.dropped or answer is None:
            raise Unanswered("the answer was lost")
        copy.read = True
        parsed = parse_answer(answer.status, answer.content_type, answer.body)
        raise_for(parsed)
        return parsed


def _carry(service: Service, target: str, headers: Mapping[str, str]) -> Exchange:
    """Run the service's coroutine to its end: without lag or latency it waits for nothing."""
    coroutine: Any = service.serve("POST", target, headers, b"")
    try:
        coroutine.send(None)
    except StopIteration as done:
        exchange: Exchange = done.value
        return exchange
    raise AssertionError("the simulator waits; the harness owns the time")
