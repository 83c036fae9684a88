"""Carries out what a producer wanted done once a task has ended: Celery's links, chains and chords.

At least once: a worker that dies in between leaves it to another, which begins again.
"""

from typing import Any

from celery import Celery, group, signature, states
from celery.app.task import Context
from kombu.utils.json import loads

from worker.errors import DtmfError, TaskCancelled


class Callbacks:
    """The callbacks of tasks, for a worker's application, whose messages go to the broker."""

    def __init__(self, app: Celery, hostname: str) -> None:
        """hostname: of this worker, for what Celery writes down."""
        self._app = app
        self._hostname = hostname

    def settle(self, task_id: str, end: dict[str, Any] | DtmfError, callbacks: str | None) -> None:
        """Write a task's result, and publish its callbacks.

        Args:
            task_id: the task's id.
            end: its outcome, or the error with which it ended.
            callbacks: what worker.callbacks.callbacks_of gave.
        """
        request = Context({"id": task_id, "hostname": self._hostname, "delivery_info": {}, **loads(callbacks or "{}")})
        backend: Any = self._app.backend
        if isinstance(end, DtmfError):
            state = states.REVOKED if isinstance(end, TaskCancelled) else states.FAILURE
            backend.mark_as_failure(task_id, end, request=request, state=state)
            return
        self._publish(task_id, end, request)
        backend.mark_as_done(task_id, end, request)

    def _publish(self, task_id: str, outcome: dict[str, Any], request: Any) -> None:
        """Publish what follows a task that was sent, as Celery's own tracer does."""
        place: dict[str, Any] = {"parent_id": task_id, "root_id": request.root_id or task_id}
        links: list[Any] = [signature(link, app=self._app) for link in request.callbacks or ()]
        if links:
            together: Any = group(links, app=self._app)
            together.apply_async((outcome,), **place)
        if request.chain:
            *rest, first = request.chain
            following: Any = signature(first, app=self._app)
            following.apply_async((outcome,), chain=rest, **place)
