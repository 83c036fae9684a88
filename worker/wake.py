"""The internal task `dtmf.serve`: a message that says "serve this channel", and nothing else.

Lost, doubled, late or swapped, it does no harm: the channel queue is the truth, and the sweeper finds what waits.
"""

import logging
from typing import Any

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from config.celery import WAKE_QUEUE
from worker.monitoring.logs import Event

log = logging.getLogger(__name__)

SERVE_TASK = "dtmf.serve"


def publish_wake(app: Any, ch: str) -> None:
    """Send the message. A failure is logged and not raised: the task is accepted, and the sweeper finds its channel."""
    try:
        app.tasks[SERVE_TASK].apply_async((ch,), queue=WAKE_QUEUE, retry=False)
    except (OperationalError, RedisError, OSError) as error:
        log.warning(Event("wake.unsent", ch=ch, error=type(error).__name__))
