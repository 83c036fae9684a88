"""Celery's configuration. Why each value is as it is: docs/celery.md."""

from typing import Any

from kombu import Exchange, Queue

from config.settings import Settings

WAKE_QUEUE = "dtmf.wake"
# Where producers that have none of our code put their tasks. No worker consumes it: the intake takes them.
SEND_QUEUE = "dtmf"
VISIBILITY_TIMEOUT_S = 120
# After a second the sweeper finds the task's channel: a producer need not wait longer for its message.
PUBLISH_TIMEOUT_S = 1.0


def celery_config(settings: Settings, *, worker: bool = False) -> dict[str, Any]:
    """Celery's settings under ours. Messages are wake-ups that may be lost, doubled or late; see docs/guarantees.md.

    Args:
        settings: ours.
        worker: also of a process that takes messages.
    """
    longest = min(PUBLISH_TIMEOUT_S, settings.redis_timeout)
    url = settings.REDIS_URL.get_secret_value()
    tls = settings.redis_tls or None
    return {
        "broker_url": url,
        "result_backend": url,
        "broker_use_ssl": tls,
        "redis_backend_use_ssl": tls,
        # The queues: only wake-ups, and nothing made by accident.
        "task_queues": [Queue(WAKE_QUEUE, Exchange(WAKE_QUEUE), routing_key=WAKE_QUEUE)],
        "task_default_queue": WAKE_QUEUE,
        "task_default_exchange": WAKE_QUEUE,
        "task_default_routing_key": WAKE_QUEUE,
        "task_create_missing_queues": False,
        # JSON alone.
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        # One message in each thread's hand, none kept from other workers.
        "worker_pool": "threads",
        "worker_concurrency": settings.DTMF_CONCURRENCY,
        "worker_prefetch_multiplier": 1,
        "worker_disable_prefetch": True,
        # Early: with a message unacknowledged, kombu raises while it closes a lost connection, and the worker ends.
        "task_acks_late": False,
        # Through an outage of Redis: keep the runs, come back, for ever.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "broker_transport_options": {
            "visibility_timeout": VISIBILITY_TIMEOUT_S,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "max_connections": settings.DTMF_CONCURRENCY + 32,
            "socket_timeout": 10 if worker else longest,
            "socket_connect_timeout": 5 if worker else longest,
            "socket_keepalive": True,
            "health_check_interval": 25,
            # Of a publish: it fails at once, since nothing waits for it. Workers come back by the settings above.
            "max_retries": 0,
        },
        "redis_socket_timeout": 10,
        "redis_socket_connect_timeout": 5,
        "redis_socket_keepalive": True,
        "redis_retry_on_timeout": True,
        # Results are written by the follower, from records.
        "result_expires": settings.DTMF_RECORD_MS // 1000,
        "result_extended": False,
        "task_track_started": False,
        "task_send_sent_event": False,
        "task_publish_retry": False,
        "control_queue_ttl": 60,
        "control_queue_expires": 120,
        "worker_hijack_root_logger": False,
        "enable_utc": True,
        "timezone": "UTC",
    }
