"""The way from commands to the channel queues: send_dtmf under this environment's settings, loaded when needed."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.door import Door
    from worker.task import Payload


def door() -> "Door":
    """The producer's door. Raises SettingsError."""
    from worker import send_dtmf  # noqa: PLC0415 - it reads the settings

    return send_dtmf.door


def wake(ch: str) -> None:
    """Publish the message for a channel."""
    from worker import app  # noqa: PLC0415
    from worker.wake import publish_wake  # noqa: PLC0415

    publish_wake(app, ch)


def reveal(task_ids: list[str]) -> dict[str, "Payload"]:
    """What producers handed in, of those of these tasks that wait; personal data.

    Raises:
        UnknownSecretKey: a task was encrypted under a secret key that is not here.
    """
    from worker.task import Payload  # noqa: PLC0415

    found = door().ask(lambda queue: queue.payloads(task_ids))
    return {
        task_id: Payload.from_json(door().vault.decrypt(payload, task_id))
        for task_id, payload in zip(task_ids, found, strict=True)
        if payload
    }
