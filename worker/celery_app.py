"""The Celery application: `celery -A worker`."""

from typing import Any

from celery import Celery

from config.celery import celery_config
from config.settings import Settings
from worker.producer import SendDtmf
from worker.wake import SERVE_TASK


class DtmfCelery(Celery):  # type: ignore[misc]
    """Celery under our settings, which are read when they are first needed, not at import."""

    def on_configure(self) -> None:
        """Called by Celery before it reads its configuration.

        Raises:
            SettingsError: naming every fault.
        """
        self.config_from_object(celery_config(Settings.load(worker=False)))


app = DtmfCelery("worker")


@app.task(name=SERVE_TASK, ignore_result=True, send_events=False)  # type: ignore[untyped-decorator]
def serve(ch: str) -> None:
    """Serve a channel: internal; see worker.wake."""
    app.fleet.serve(ch)


send_dtmf: SendDtmf = app.register_task(SendDtmf())


@app.on_after_configure.connect  # type: ignore[untyped-decorator]
def _steps(sender: Any, **_: Any) -> None:
    # Imported here: a producer has no use for what a worker is made of.
    from worker.fleet.boot import Fleet  # noqa: PLC0415

    sender.steps["worker"].add(Fleet)
