"""The boot step that makes a Celery worker one of the fleet: it checks everything first, then starts the threads."""

import logging
import os
import threading
import time
from typing import Any

import click
from celery import bootsteps, signals
from celery.concurrency.thread import TaskPool as ThreadPool
from redis.exceptions import RedisError

from config.settings import Settings
from worker import __version__
from worker.ccc import CccClient
from worker.channel.intake import IntakeQueue
from worker.channel.queue import ChannelQueue
from worker.channel.server import check_server, connect, explain
from worker.credentials import provider_of
from worker.errors import DtmfError
from worker.fleet import panel  # noqa: F401 - a worker answers to it
from worker.fleet.callbacks import Callbacks
from worker.fleet.events import Events, Watcher
from worker.fleet.follower import Follower
from worker.fleet.heartbeat import Heartbeat
from worker.fleet.intake import Intake
from worker.fleet.results import RECORDS, REFUSALS, Results
from worker.fleet.slots import Slots
from worker.fleet.sweeper import Sweeper
from worker.limits import limits_of
from worker.monitoring.logs import Event
from worker.monitoring.reports import report_run_failure
from worker.monitoring.sentry import start_sentry
from worker.run import Defaults, Pace, Parts, serve
from worker.task import SEND_TASK
from worker.vault import Vault
from worker.wake import publish_wake

log = logging.getLogger(__name__)

_SPARE_CONNECTIONS = 8
# Foreign producers may put anything on their list.
_ANY_BYTES = "surrogateescape"


class Fleet(bootsteps.StartStopStep):
    """What a worker process has for its runs."""

    # Started after the threads of which it makes use, and stopped before them.
    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: Any, **_: Any) -> None:
        """Check the pool, the settings and the server, and build the parts; a fault ends the worker with a message."""
        super().__init__(worker)
        self._app = worker.app
        self._worker = worker
        try:
            settings = Settings.load(worker=True)
            start_sentry(settings)
            # The banner is not JSON.
            worker.quiet = worker.quiet or settings.DTMF_LOG_FORMAT == "json"
            if not issubclass(worker.pool_cls, ThreadPool):
                raise DtmfError("a DTMF worker runs on threads; start it with -P threads")
            self._build(settings, worker.concurrency, worker.hostname)
        except (DtmfError, RedisError) as error:
            if isinstance(error, click.ClickException):
                raise
            raise click.ClickException(explain(error) if isinstance(error, RedisError) else str(error)) from None
        worker.app.fleet = self

    def _build(self, settings: Settings, concurrency: int, name: str) -> None:
        client = self._connect(settings, settings.redis_timeout, concurrency + _SPARE_CONNECTIONS)
        server = check_server(client, allow_volatile=settings.DTMF_REDIS_ALLOW_VOLATILE)
        about = {"version": __version__, "channels": concurrency, "server": server, "api": settings.endpoint}
        log.info(Event("worker.started", worker=name, **about))
        self.queue = ChannelQueue(client, limits_of(settings), worker=name)
        self.vault = Vault(settings.secret_keys)
        self.stopping = threading.Event()
        self.slots = Slots(concurrency, self._run)
        # Within a lease, or a beat that hangs would lose the channels of all runs.
        quick = self._connect(settings, min(settings.redis_timeout, settings.DTMF_LEASE_MS / 1000), 2)
        self.heartbeat = Heartbeat(ChannelQueue(quick, limits_of(settings)), settings.DTMF_BEAT_MS / 1000)
        self._client = _client_of(settings, concurrency)
        self._credentials = provider_of(settings)
        self._parts = Parts(
            queue=self.queue,
            client=self._client,
            credentials=self._credentials,
            vault=self.vault,
            defaults=Defaults(settings.CCC_INSTANCE_ID or "", settings.CCC_USER_ID or "", settings.CCC_DEVICE_ID or ""),
            pace=_pace_of(settings),
            heartbeat=self.heartbeat,
            publish=self.publish,
            stopping=self.stopping,
        )
        self._sweeper = Sweeper(
            self.queue,
            free=lambda: self.slots.free,
            line_moves=lambda: self.slots.line_moves,
            take=self.take,
            publish=self.publish,
            every=settings.DTMF_SWEEP_MS / 1000,
        )
        self._intake = self._make_intake(settings, name)
        self._make_followers(settings, name)

    def _connect(self, settings: Settings, timeout: float, connections: int, **options: Any) -> Any:
        url = settings.REDIS_URL.get_secret_value()
        return connect(url, timeout=timeout, max_connections=connections, **options, **settings.redis_tls)

    def _make_intake(self, settings: Settings, name: str) -> Intake:
        client = self._connect(settings, settings.redis_timeout, 1, encoding_errors=_ANY_BYTES)
        queue = IntakeQueue(client, limits_of(settings), name)
        return Intake(queue, settings, self.vault, self.publish, self.stopping)

    def _make_followers(self, settings: Settings, name: str) -> None:
        events = Events(self._app, name, settings.CCC_INSTANCE_ID or "")
        self._watcher = Watcher(self.heartbeat.at_work, events.begin)
        results = Results(Callbacks(self._app, name).settle, events, self.vault)
        self._app.tasks[SEND_TASK].on_refusal = results.refuse
        consumer = f"{name}/{os.getpid()}"
        # Their calls wait for a second at the server.
        self._followers = [
            Follower(self._connect(settings, settings.redis_timeout + 2, 2), stream, write, consumer)
            for stream, write in ((RECORDS, results.of_records), (REFUSALS, results.of_refusals))
        ]

    def publish(self, ch: str) -> None:
        """Send the message "serve this channel"."""
        publish_wake(self._app, ch)

    def take(self, ch: str) -> bool:
        """Serve a channel in a thread of Celery's pool, without a message; False if none is free."""
        return not self.stopping.is_set() and self.slots.take(ch, self._worker.pool.executor)

    def serve(self, ch: str) -> None:
        """Serve a channel for which a message came."""
        self.slots.serve(ch)

    def _run(self, ch: str) -> None:
        try:
            serve(self._parts, ch)
        except Exception as error:  # noqa: BLE001 - Celery would log its text, which may hold anything
            report_run_failure(ch, error)

    def start(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Start the threads."""
        signals.worker_shutting_down.connect(self._stop_runs, weak=False)
        self._credentials.start()
        self.heartbeat.start()
        self._sweeper.start()
        self._intake.start()
        for follower in self._followers:
            follower.start()
        self._watcher.start()

    def _stop_runs(self, **_: Any) -> None:
        if not self.stopping.is_set():
            self.stopping.set()
            threading.Thread(target=self._leave_in_time, name="farewell", daemon=True).start()

    def _leave_in_time(self) -> None:
        """End a process whose shutdown hangs: Celery's main thread waits for minutes for a Redis that stands still.

        Nothing is lost by it: what a worker leaves behind, the fleet finishes as if it had been killed.
        """
        log.info(Event("worker.stopping", runs=len(self.heartbeat)))
        pace = self._parts.pace
        time.sleep(pace.request + pace.farewell + 1)
        log.warning(Event("worker.stuck"))
        logging.shutdown()
        os._exit(0)

    def stop(self, parent: Any) -> None:  # noqa: ARG002
        """Stop what finds new work. The heartbeat goes on as long as a run does; it ends with the process."""
        self.stopping.set()
        self._credentials.stop()
        self._sweeper.stop()
        self._intake.stop()
        self._watcher.stop()
        for follower in self._followers:
            follower.stop()
        try:
            self._intake.let_go()
            for follower in self._followers:
                follower.leave()
        except RedisError as error:
            log.info(Event("worker.left_behind", error=type(error).__name__))

    terminate = stop


def _client_of(settings: Settings, concurrency: int) -> CccClient:
    return CccClient(
        settings.endpoint,
        signature=settings.CCC_SIGNATURE,
        pool_size=concurrency,
        connect_timeout=settings.DTMF_CONNECT_TIMEOUT_MS / 1000,
        read_timeout=settings.DTMF_READ_TIMEOUT_MS / 1000,
        total_timeout=settings.DTMF_TOTAL_TIMEOUT_MS / 1000,
        ca_bundle=settings.CCC_CA_BUNDLE,
    )


def _pace_of(settings: Settings) -> Pace:
    return Pace(
        slice=settings.DTMF_SLICE_MS / 1000,
        hold=settings.DTMF_HOLD_MS / 1000,
        request=settings.DTMF_TOTAL_TIMEOUT_MS / 1000,
        redis=settings.redis_timeout,
    )
