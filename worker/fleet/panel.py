"""What a worker tells about itself when `dtmf doctor` asks by broadcast."""

from datetime import UTC, datetime
from typing import Any

from celery.worker.control import inspect_command

from worker import __version__

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
