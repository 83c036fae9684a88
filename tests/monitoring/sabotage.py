"""`celery -A tests.monitoring.sabotage`: the application, with a run that fails on some calls as nobody foresaw."""

from typing import Any

from worker.attempt import Attempt
from worker.ccc import KeyPress
from worker.celery_app import app
from worker.run import _Serve

__all__ = ["app"]

SABOTAGED_JOB = "job-sabotaged"
_copy = _Serve._copy


def _faulty_copy(self: _Serve, attempt: Attempt, press: KeyPress, *more: Any) -> Any:
    if press.job_id == SABOTAGED_JOB:
        held = {"key": press.dtmf, "channel": press.channel_id}
        raise LookupError(f"{held} with the key {press.dtmf * 9} on {press.channel_id}")
    return _copy(self, attempt, press, *more)


_Serve._copy = _faulty_copy  # type: ignore[method-assign, assignment]
