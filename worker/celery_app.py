"""The Celery application: `celery -A worker`."""

from typing import Any, NoReturn

import click
from celery import Celery
from kombu import Exchange, Queue

from config.celery import celery_config
from config.settings import Settings
from worker.errors import UnsupportedOption
from worker.producer import SendDtmf
from worker.task import SEND_TASK
from worker.wake import SERVE_TASK


class DtmfCelery(Celery):
    """Celery under our settings, which are read when they are first needed, not at import."""

    fleet: Any
    log_cls = "worker.monitoring.logs:Logging"
    amqp_cls = "worker.messaging:WakeUps"

    def on_configure(self) -> None:  # type: ignore[override]  # Celery takes a method for its signal
        """Called by Celery before it reads its configuration.

        Raises:
            SettingsError: naming every fault.
        """
        # Celery's command line asks for its configuration before the worker's boot step runs; all of a worker's faults
        # belong into one message.
        command = click.get_current_context(silent=True)
        is_worker = command is not None and command.info_name == "worker"
        self.config_from_object(celery_config(Settings.load(worker=is_worker), worker=is_worker))

    def send_task(self, name: str, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        """Celery's; of `dtmf.send` it goes through the same door as send_dtmf.apply_async.

        Past it, the digits would stand in clear in a message that no worker takes.
        """
        if name == SEND_TASK:
            return self.tasks[SEND_TASK].apply_async(args, kwargs, **options)
        if isinstance(queue := options.get("queue"), str) and queue not in self.amqp.queues:
            # A callback of a producer's: its queue is that of workers of another application.
            options["queue"] = Queue(queue, Exchange(queue), routing_key=queue)
        return super().send_task(name, args, kwargs, *more, **options)


# Not the current app, and its tasks in no other: a CRM that imports send_dtmf may have a Celery application of its own.
app = DtmfCelery("worker", set_as_current=False)
# By name: a producer has no use for what a worker is made of.
app.steps["worker"].add("worker.fleet.boot:Fleet")


def _prepare_flower(command: click.Context, *_: Any) -> None:
    if command.info_name == "flower":
        from config.flower import prepare  # noqa: PLC0415 - an extra that nothing else needs

        prepare(app)


# An option that nobody gives: Celery adds it to each of its commands, and click calls it before the command runs.
app.user_options["preload"].add(
    click.Option(["--prepare"], callback=_prepare_flower, hidden=True, is_flag=True, expose_value=False)
)


@app.task(name=SERVE_TASK, shared=False, ignore_result=True, send_events=False)
def serve(ch: str) -> None:
    """Serve a channel: internal; see worker.wake."""
    app.fleet.serve(ch)


@app.task(name=SEND_TASK, shared=False, base=SendDtmf)
def _send_dtmf(*_: Any, **__: Any) -> NoReturn:
    raise UnsupportedOption("dtmf.send is not run by calling it; use send_dtmf.delay(...) or .apply_async(...)")


send_dtmf = _send_dtmf
