"""Takes the messages of producers that have none of our code off their Redis lists, and enqueues what they hold.

Celery's own consumer would lose their order, and end its worker on a malformed one. One intake is active in the
fleet at a time, so one list is one order; each worker stands ready to be it.
"""

import base64
import logging
import secrets
import string
import threading
from collections.abc import Callable, Iterable

from kombu.transport.redis import PRIORITY_STEPS, Channel

from config.celery import SEND_QUEUE
from config.settings import Settings
from worker.channel.intake import DeadLetter, IntakeQueue, TooLarge
from worker.channel.queue import NewTask
from worker.clock import clock
from worker.fleet.loop import Loop
from worker.message import LARGEST_BYTES, BadMessage, read_task, too_large
from worker.monitoring.logs import Event
from worker.vault import Vault

log = logging.getLogger(__name__)

# Kombu's lists of a queue, those first that its own consumers would empty first.
LISTS = tuple(f"{SEND_QUEUE}{Channel.sep}{step}" if step else SEND_QUEUE for step in PRIORITY_STEPS)
_MOST_AT_ONCE = 200
# Publishing costs more than all the rest: of a few channels it is done at once, of many by the fleet's sweepers.
_PUBLISHED_AT_ONCE = 20
# A task's message has 1 or 2 KB. All dead letters together must leave Redis room for what waits.
_KEPT_BYTES = 8 * 1024
_POLL_S = 0.02
_ALPHABET = string.ascii_lowercase + string.digits
_STAND_BY_S = 0.2


class Intake:
    """One a worker; it is active while it holds the intake's lease."""

    def __init__(
        self,
        queue: IntakeQueue,
        settings: Settings,
        vault: Vault,
        publish: Callable[[str], None],
        stopping: threading.Event,
    ) -> None:
        """Nothing is taken before start. publish sends the message "serve this channel"; stopping lets go."""
        self._queue = queue
        self._settings = settings
        self._vault = vault
        self._publish = publish
        self._stopping = stopping
        self._token = secrets.token_hex(16)
        self._active = False
        self._next_try = 0.0
        self._loop = Loop("intake", self.turn, _POLL_S)
        self.start, self.stop = self._loop.start, self._loop.stop

    def turn(self) -> None:
        """Take all that is there, if it is this worker's turn; stand by if another is the intake."""
        if self._stopping.is_set():
            self.let_go()
            return
        if not self._active and clock() < self._next_try:
            return
        held = self._queue.hold(self._token)
        if held != self._active:
            log.info(Event("intake.held") if held else Event("intake.lost"))
        self._active = held
        self._next_try = clock() + _STAND_BY_S
        while self._active and not self._stopping.is_set() and self._take():
            pass

    def let_go(self) -> None:
        """Let another worker be the intake at once."""
        if self._active:
            self._active = False
            self._queue.let_go(self._token)

    def _take(self) -> bool:
        """Take some messages; whether there may be more."""
        found = self._queue.look(LISTS, _MOST_AT_ONCE, LARGEST_BYTES)
        if not found:
            return False
        name, raws = found
        publish = _PUBLISHED_AT_ONCE if len(raws) < _MOST_AT_ONCE else 0
        taken = self._queue.take(self._token, name, list(self._read(raws)), publish=publish)
        if taken is None:
            self._active = False
            return False
        for ch in taken.publish:
            self._publish(ch)
        return taken.count > 0

    def _read(self, raws: Iterable[str | TooLarge]) -> Iterable[tuple[str | TooLarge, NewTask | DeadLetter]]:
        for raw in raws:
            try:
                if isinstance(raw, TooLarge):
                    raise too_large()
                task_id, task = read_task(raw, self._settings)
            except BadMessage as error:
                log.warning(Event("message.dead", task=error.task_id, reason=str(error)))
                yield raw, self._bury(raw, error)
            else:
                log.debug(Event("message.taken", task=task_id))
                yield raw, task.to_new(task_id, self._vault)

    def _bury(self, raw: str | TooLarge, error: BadMessage) -> DeadLetter:
        number, letter = "".join(secrets.choice(_ALPHABET) for _ in range(8)), ""
        if isinstance(raw, str) and len(raw) <= _KEPT_BYTES:
            text = base64.b64encode(raw.encode(errors="surrogateescape")).decode()
            letter = self._vault.encrypt(text, number)
        return DeadLetter(number, letter, str(error), error.task_id)
