"""How the workers take Celery's messages."""

from typing import Any

from celery.app.amqp import AMQP
from kombu.transport.virtual import Message


class WakeUp(Message):
    """A message for which nobody waits to hear that it was taken."""

    def ack(self, multiple: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - kombu's signature
        """Nothing to do: see WakeUps."""
        self._state = "ACK"

    def reject(self, requeue: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        """Nothing to do: see WakeUps."""
        self._state = "REJECTED"


class WakeUps(AMQP):
    """Celery's messaging, for messages that may be lost: they are not acknowledged.

    A message says "serve this channel", and the sweeper finds a channel whose message died with its worker. So two of
    three round trips of each message are saved; and kombu keeps no message that it would have to put back when the
    connection breaks, at which it ends the worker if the server dies between a message and its acknowledgement.
    """

    def TaskConsumer(self, channel: Any, queues: Any = None, accept: Any = None, **options: Any) -> Any:  # noqa: N802
        """Celery's, without acknowledgement."""
        consumer: Any = super().TaskConsumer(channel, queues, accept, no_ack=True, **options)
        consumer.channel.Message = WakeUp
        # `celery purge` makes a consumer too, without a worker.
        if fleet := getattr(self.app, "fleet", None):
            # Celery counts its own messages alone, and would take some that wait behind runs which the sweeper began.
            qos = consumer.channel.qos
            may_take = qos.can_consume
            # Nor may a worker that stops take back what it has just handed over.
            qos.can_consume = lambda: fleet.slots.free > 0 and not fleet.stopping.is_set() and may_take()
        return consumer
