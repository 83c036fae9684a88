"""A whole run with faults; then all that any process wrote or sent is searched for keys, phone numbers and secrets."""

import json
import os
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery import chain, group
from click.testing import CliRunner
from redis import Redis

from tests.fleet.conftest import GroundMaker
from tests.fleet.foreign import kwargs_of, protocol_1, protocol_2, put
from tests.fleet.harness import QUICK, Ground, Line, Scene, until
from tests.flower.pages import Pages, routes
from tests.monitoring.catcher import SentryCatcher
from worker.cli import main
from worker.local.processes import ACCESS_KEY_SECRET, Child

PIN, BAD_PIN = "739174028561#", "739174028561x"
CALLER, CALLED = "01077733355", "13944466622"
JOB = "job-secret"
FAULTS: list[dict[str, Any]] = [
    {"latency": 0.01},
    {"error": {"code": "NotExists.ChannelId", "status": 404}},
    {"error": {"code": "InternalError", "status": 500, "executed": True}},
    {"error": {"code": "Throttling.User", "status": 400}},
    {"error": {"code": "InvalidParameter", "status": 400}},
    {"drop": {"when": "after", "how": "reset"}},
    {"drop": {"when": "before"}},
    {"page": {"status": 502, "executed": True}},
    {"redirect": {"location": f"http://127.0.0.1:1/?Dtmf=7&ChannelId={CALLER}"}},
    {"truncate": 40},
    {"answer_after": 4},
    {"shapes": ["specification"]},
]


def line_of(number: int) -> Line:
    """A channel whose id holds phone numbers, as CCC's do."""
    name = f"{JOB}-{number:02}"
    return Line(f"ch:customer:{CALLER}->{CALLED}:16092342218{number:02}:{name}", name)


def everything(client: "Redis") -> Iterator[str]:
    """Every name and value that the server holds."""
    for key in client.scan_iter(count=1000):
        yield str(key)
        kind: Any = client.type(key)
        match kind:
            case "string":
                yield str(client.get(key))
            case "hash":
                yield str(client.hgetall(key))
            case "list":
                yield str(client.lrange(key, 0, -1))
            case "set":
                yield str(client.smembers(key))
            case "zset":
                yield str(client.zrange(key, 0, -1, withscores=True))
            case "stream":
                yield str(client.xrange(key))
            case "none":
                pass  # it has expired since it was named
            case _:
                raise AssertionError(f"a {kind} is not looked into")


def command_lines(*children: Child) -> Iterator[str]:
    """The arguments of processes and their titles, as ps shows them to every user of the machine."""
    for child in children:
        for name in ("cmdline", "comm"):
            yield Path(f"/proc/{child.pid}/{name}").read_text(encoding="utf-8").replace("\0", " ")


def pages(flower: Pages, ids: list[str]) -> Iterator[str]:
    """Every page of Flower and answer of its API, with those of each task."""
    paths = [path for path in routes() if "nothing" not in path and "static" not in path]
    paths += [f"{start}/{id_}" for id_ in ids for start in ("/task", "/api/task/info", "/api/task/result")]
    for path in paths:
        yield flower.ask(path).text


class Ears:
    """What the tests hear of a run beside the logs: events, errors, and what commands print."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.heard: list[str] = []

    @contextmanager
    def events(self) -> Iterator[None]:
        """Hear what Celery's monitors hear, as long as the context lasts."""
        app: Any = self.ground.send_dtmf.app
        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": lambda one: self.heard.append(json.dumps(one))})
            thread = threading.Thread(target=receiver.capture, kwargs={"limit": None, "timeout": None, "wakeup": False})
            thread.start()
            try:
                yield
            finally:
                receiver.should_stop = True
                thread.join(20)

    def error(self, call: Any) -> None:
        """Note an error with all that it chains, as a traceback shows it."""
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever is raised is what is looked at
            self.heard.append("".join(traceback.format_exception(error, chain=True)[-1:]) + repr(error))
            link = error.__cause__ or error.__context__
            while link:
                self.heard.append(f"{link!r} {link}")
                link = link.__cause__ or link.__context__

    def command(self, *arguments: str) -> None:
        """Note what a command prints."""
        done = CliRunner().invoke(main, arguments, env=self.ground.env)
        assert not isinstance(done.exception, AssertionError)
        self.heard.append(done.output)


def play(scene: Scene, ears: Ears) -> list[Any]:
    """Every kind of fault, a killed worker, foreign producers, callbacks, and refusals."""
    ground, send = scene.ground, scene.ground.send_dtmf
    results = []
    for number, fault in enumerate(FAULTS):
        line = line_of(number)
        scene.rule(line, match={"requests": [2, 4]}, **fault)
        results.append(scene.send(line, PIN, expires_in=5))
        results.append(scene.send(line, PIN, expires_in=7, user_id=f"{CALLER}@ccc-test"))
    for number, message in enumerate(
        (protocol_2(kwargs_of(line_of(50), PIN)), protocol_1(kwargs_of(line_of(51), PIN), "php-1"))
    ):
        put(ground.client, message, protocol_2(kwargs_of(line_of(60 + number), BAD_PIN), f"bad-{number}"))
    put(ground.client, f"no JSON: {PIN} {CALLER}", protocol_2({"dtmf": PIN, CALLER: CALLED}, "bad-2"))
    call = kwargs_of(line_of(52), PIN)
    chain(send.s(**call), send.s(**kwargs_of(line_of(53), PIN))).apply_async()
    together: Any = group(send.s(**kwargs_of(line_of(number), PIN)) for number in (54, 55))
    results += together.apply_async().results
    results += send.send_many([kwargs_of(line_of(number), PIN) for number in (56, 57)])
    for wrong in ({"dtmf": BAD_PIN}, {"dtmf": PIN, CALLER: 1}, {"dtmf": PIN, "user_id": f"{CALLER}\n"}):
        ears.error(lambda wrong=wrong: send.delay(**{**call, **wrong}))
    ears.error(lambda: send(PIN, CALLER))
    ears.error(lambda: send.apply_async((PIN,)))
    ears.error(lambda: send.send_many([{**call, "dtmf": BAD_PIN}]))
    ground.kill("one")
    ground.start("one")
    return results


def test_no_key_number_or_secret_stands_in_anything_that_a_process_wrote_or_sent(
    new_ground: GroundMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as opened:
        sentry = opened.enter_context(SentryCatcher())
        ground = new_ground(DTMF_CONCURRENCY=16, SENTRY_DSN=sentry.dsn, DTMF_LOG_FORMAT="json", **QUICK)
        for name, value in ground.env.items():
            monkeypatch.setenv(name, value)
        flower = opened.enter_context(Pages(ground.env, tmp_path, DTMF_FLOWER_WRITABLE=1))
        ground.start("one", "two", "three")
        flower.wait()
        scene, ears = Scene(ground), Ears(ground)
        opened.enter_context(ears.events())
        results = play(scene, ears)
        body = {"kwargs": kwargs_of(line_of(70), PIN)}
        for path, sent in (
            ("async-apply", body),
            ("async-apply", {"kwargs": kwargs_of(line_of(71), BAD_PIN)}),
            ("send-task", body),
        ):
            ears.heard.append(flower.ask(f"/api/task/{path}/dtmf.send", "POST", json=sent).text)
        records = scene.settle()
        assert len({record.state for record in records.values()}) >= 4
        waiting = line_of(99)
        ground.send_dtmf.pause(waiting.channel_id)
        held = scene.send(waiting, PIN, expires_in=60)
        for result in results:
            ears.error(lambda result=result: ears.heard.append(repr(result.get(timeout=20))))
        until(lambda: not ground.client.exists("dtmf"), "an empty list")
        ids = [*records, "bad-0", "bad-1", "bad-2", held.id]
        for command in (("doctor", "--json"), ("tail", "--last", "50", "--no-follow"), ("dead-letters",)):
            ears.command(*command)
        for id_ in ids:
            ears.command("status", id_)
        ears.command("channel", waiting.digest)
        children = [*(ground.worker(name) for name in ground.names), flower.child]
        shown = list(pages(flower, ids))
        texts = [*shown, *command_lines(*children), *ears.heard, *everything(ground.client)]
        ground.worker("two").stop()
        flower_log = flower.child.output()
        texts += [ground.logs(), flower_log, *(json.dumps(item) for item in sentry.items())]
    secrets = {
        PIN,
        PIN[:6],
        BAD_PIN[:6],
        CALLER,
        CALLED,
        ACCESS_KEY_SECRET,
        JOB,
        *ground.env["DTMF_SECRET_KEYS"].split(","),
    }
    assert len(texts) > 400
    assert all(id_ in "".join(shown) for id_ in records)
    assert any("dtmf.send" in text and "task-" in text for text in ears.heard)
    assert sentry.events()
    for text in texts:
        found = [secret for secret in secrets if secret in text]
        assert found == [], text[:300]
    assert os.environ["DTMF_SECRET_KEYS"] not in "".join(texts)
    assert ground.faults() == []
