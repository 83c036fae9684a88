"""Flower under our settings: `celery -A worker flower`. What it shows, and to whom: docs/flower.md."""

import hmac
import logging
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import click
import flower.command
from celery import Celery
from flower.app import Flower
from flower.utils.blocking import BlockingOperationRunner
from tornado.httputil import HTTPServerRequest
from tornado.options import options
from tornado.web import HTTPError, RequestHandler

from config.settings import Settings
from worker.errors import DtmfError, InvalidTask, NotAccepted
from worker.task import SEND_TASK

# Options of Flower's that ours stand for; who sets one of them expects something else than would happen.
_OURS = {
    "basic_auth": "set DTMF_FLOWER_USER and DTMF_FLOWER_PASSWORD instead",
    "auth": "there is one login, DTMF_FLOWER_USER with DTMF_FLOWER_PASSWORD",
    "read_only": "it is on, unless DTMF_FLOWER_WRITABLE=1",
}


def prepare(app: Celery) -> None:
    """Have Celery's command `flower` run Flower under our settings. Called before the command reads its options.

    Raises:
        SettingsError: naming every fault.
    """
    settings = Settings.load(worker=False, flower=True)
    # Flower asks for results without naming an application.
    app.set_current()
    options.address = settings.flower_address
    options.port = int(settings.PORT or options.port)
    # The name is always the same; which channel it was helps more.
    options.tasks_columns = "uuid,state,kwargs,received,runtime,worker"
    # At the level DEBUG it logs the arguments of what is posted.
    logging.getLogger("flower.api.tasks").setLevel(logging.INFO)
    # It takes the time of a record that is told late for a clock that is wrong.
    logging.getLogger("celery.events.state").setLevel(logging.ERROR)

    def guarded(**parts: Any) -> GuardedFlower:
        return GuardedFlower(settings, **parts)

    flower.command.Flower = guarded


class GuardedFlower(Flower):  # type: ignore[misc]  # it has no types
    """Flower behind a password, without exception but for /healthcheck."""

    def __init__(self, settings: Settings, **parts: Any) -> None:
        """Read-only unless the settings say otherwise; parts: what Flower is made of.

        Raises:
            click.ClickException: an option of Flower's is set that a setting of ours stands for.
        """
        faults = [f"{name}: {instead}" for name, instead in _OURS.items() if getattr(options, name)]
        if faults:
            raise click.ClickException("Flower's own options are not taken here: " + "; ".join(faults))
        password = settings.DTMF_FLOWER_PASSWORD
        assert password  # noqa: S101 - checked with the settings
        login = f"{settings.DTMF_FLOWER_USER}:{password.get_secret_value()}"
        options.basic_auth = [login]
        options.read_only = not settings.DTMF_FLOWER_WRITABLE
        super().__init__(**parts)
        self._login = login.encode()
        self._open = f"/{options.url_prefix.strip('/')}/healthcheck" if options.url_prefix else "/healthcheck"
        self.blocking_runner = Runner(self.executor)

    def start_http_server(self) -> Any:
        """Flower's.

        Raises:
            click.ClickException: it cannot listen there.
        """
        try:
            return super().start_http_server()
        except OSError as error:
            where = options.unix_socket or f"{options.address or 'every address'}, port {options.port}"
            raise click.ClickException(f"Flower cannot listen on {where}: {error.strerror}") from None

    def find_handler(self, request: HTTPServerRequest, **about: Any) -> Any:
        """Tornado's choice of what answers a request: nothing of Flower's answers one without the password.

        Flower leaves that to each page, and leaves /metrics open.
        """
        if request.path != self._open and not self._knows(request.headers.get("Authorization", "")):
            return self.get_handler_delegate(request, Locked)
        return super().find_handler(request, **about)

    def _knows(self, authorization: str) -> bool:
        scheme, _, credentials = authorization.partition(" ")
        try:
            given = b64decode(credentials.strip(), validate=True)
        except ValueError:
            return False
        return scheme == "Basic" and hmac.compare_digest(given, self._login)


class Locked(RequestHandler):
    """Answers who has no password."""

    def check_xsrf_cookie(self) -> None:
        """Nothing is done here that a stranger's page could want to have done."""

    def prepare(self) -> None:
        """Whatever the method is."""
        self.set_status(401)
        self.set_header("WWW-Authenticate", 'Basic realm="flower"')
        self.finish("user name and password are needed\n")


class Runner(BlockingOperationRunner):  # type: ignore[misc]
    """Does what was posted; our errors are answered to who posted it, where Flower would log and hide them."""

    async def run(self, operation: str, target: str, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Flower's; of tasks, only `dtmf.send` can be sent."""
        if operation == "task.publish" and target != SEND_TASK:
            raise HTTPError(404, f"there is no task of this name; the task is {SEND_TASK}")
        if operation == "task.abort":
            # It would overwrite the task's result, and no digit would be kept back.
            raise HTTPError(400, f"{SEND_TASK} cannot be aborted; revoke it: it ends before its next digit")

        def answer_errors(*args: Any, **kwargs: Any) -> Any:
            try:
                return func(*args, **kwargs)
            except DtmfError as error:
                return error

        answer = await super().run(operation, target, answer_errors, *args, **kwargs)
        if isinstance(answer, InvalidTask):
            raise HTTPError(400, str(answer))
        if isinstance(answer, NotAccepted):
            raise HTTPError(409, str(answer))
        if isinstance(answer, DtmfError):
            raise HTTPError(503, str(answer))
        return answer
