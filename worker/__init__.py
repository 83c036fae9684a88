"""The DTMF worker for Alibaba Cloud CCC.

    from worker import send_dtmf
    result = send_dtmf.delay(channel_id="…", job_id="…", dtmf="1234#")

`celery -A worker worker` runs the fleet. The names below are loaded when they are first used, so that a part of
the package can be imported without Celery and without settings.
"""

from typing import TYPE_CHECKING, Any

# Found now: `celery -A worker` has the working directory on the path only while it imports this package.
import config  # noqa: F401

if TYPE_CHECKING:
    from worker.celery_app import app as app
    from worker.celery_app import send_dtmf as send_dtmf

__version__ = "0.1.0"

_FROM_APP = ("app", "send_dtmf")


def __getattr__(name: str) -> Any:
    if name in _FROM_APP:
        from worker import celery_app  # noqa: PLC0415

        return getattr(celery_app, name)
    raise AttributeError(f"module 'worker' has no attribute {name!r}")
