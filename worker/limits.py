"""From settings to the numbers of the channel queue, the same for producers and workers."""

from config.settings import Settings
from worker.channel.queue import Limits


def limits_of(settings: Settings) -> Limits:
    """The numbers of the queue."""
    return Limits(
        lease=settings.DTMF_LEASE_MS,
        break_=settings.DTMF_BREAK_MS,
        record_ttl=settings.DTMF_RECORD_MS,
        channel_limit=settings.DTMF_CHANNEL_LIMIT,
        system_limit=settings.DTMF_SYSTEM_LIMIT,
        probe=settings.DTMF_PROBE_MS,
        rate_per_second=settings.DTMF_RATE_PER_SECOND,
    )
