"""What a worker answers to broadcasts: `dtmf doctor` asks about it, and Celery's clients revoke tasks."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from celery.worker.control import control_command, inspect_command
from redis.exceptions import RedisError

from worker import __version__
from worker.channel.server import explain
from worker.monitoring.logs import Event

log = logging.getLogger(__name__)

ABOUT = "dtmf"


@inspect_command(name=ABOUT)
def about(state: Any, **_: Any) -> dict[str, Any]:
    """Version, runs in progress and fingerprints of the secret keys of this worker; no personal data."""
    worker, fleet = state.consumer.controller, state.app.fleet
    return {
        "version": __version__,
        "concurrency": worker.concurrency,
        "runs": len(fleet.heartbeat),
        "uptime_s": int((datetime.now(UTC) - worker.startup_time).total_seconds()),
        "kids": fleet.vault.kids,
        "stopping": fleet.stopping.is_set(),
    }


@control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(state: Any, task_id: str | Iterable[str], **_: Any) -> dict[str, str]:
    """Celery's revoke, for tasks that wait in channel queues: the same as send_dtmf.cancel.

    Every worker gets it; the first one ends the task. terminate and signal have no meaning: a digit that is on its
    way cannot be recalled, and the task ends before its next one either way.
    """
    ids = [task_id] if isinstance(task_id, str) else list(task_id)
    try:
        answers = [state.app.fleet.queue.cancel(str(one))[0] for one in ids]
    except RedisError as error:
        log.warning(Event("revoke.failed", reason=explain(error)))
        return {"error": explain(error)}
    return {"ok": " ".join(answers)}
