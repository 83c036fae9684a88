"""A client of Redis for commands that need neither Celery nor a producer."""

from typing import TYPE_CHECKING

from config.settings import Settings
from worker.channel.server import connect

if TYPE_CHECKING:
    from redis import Redis


def client_of(settings: Settings, *, longer_s: float = 0) -> "Redis":
    """A client under these settings, whose calls may take so many seconds longer."""
    return connect(
        settings.REDIS_URL.get_secret_value(),
        timeout=settings.redis_timeout + longer_s,
        **settings.redis_tls,
    )
