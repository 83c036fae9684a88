"""What the tests of the producer share: a CRM's process, a worker's hands, and a look at all that Redis holds."""

import base64
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis

from config.settings import Settings
from worker.celery_app import DtmfCelery
from worker.channel.queue import ChannelQueue, Limits, Signer
from worker.channel.steps import Send, Step, Verdict
from worker.producer import SendDtmf
from worker.vault import channel_digest, new_secret_key

CALL = {
    "channel_id": "ch:customer:01089898989->13188888888:1609234221870:job-65735740600893440",
    "job_id": ":job-65735740600893440",
    "dtmf": "8001735#",
    "user_id": "kathrin@ccc-test",
}
CH = channel_digest(CALL["channel_id"])
# What must stand nowhere in clear.
PERSONAL = ("8001735", "01089898989", "13188888888", "65735740600893440", "kathrin")
KEY = new_secret_key()
SIGNER = Signer("kid", "ak")


def set_environment(patch: pytest.MonkeyPatch, redis_url: str, **settings: object) -> None:
    """The settings of a producer, and no others."""
    for name in Settings.model_fields:
        patch.delenv(name, raising=False)
    for name, value in {"REDIS_URL": redis_url, "DTMF_SECRET_KEYS": KEY, **settings}.items():
        patch.setenv(name, str(value))


@contextmanager
def fresh_send_dtmf() -> Iterator[SendDtmf]:
    """send_dtmf as a new process has it: an application that has read no settings yet."""
    spec = importlib.util.find_spec("worker.celery_app")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    app: DtmfCelery = module.app
    send_dtmf: SendDtmf = module.send_dtmf
    try:
        yield send_dtmf
    finally:
        if "door" in vars(send_dtmf) and "queue" in vars(send_dtmf.door):
            send_dtmf.door.queue._client.close()
        if getattr(app, "configured", False):
            backend: Any = app.backend
            # Else a result that is collected later would look for its server, for 20 seconds.
            backend.result_consumer.subscribed_to.clear()
            backend.result_consumer.stop()
            backend.client.close()
        app.close()


def everything_in(client: Redis) -> str:
    """All keys and values of a server as one text, the bodies of Celery's messages decoded."""
    text: list[Any] = []
    read: dict[str, Any] = {
        "string": client.get,
        "list": lambda key: client.lrange(key, 0, -1),
        "hash": client.hgetall,
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1),
        "stream": client.xrange,
    }
    for key in sorted(client.scan_iter()):
        text += [key, read[str(client.type(key))](key)]
    text += [base64.b64decode(message["body"]) for message in messages(client)]
    return repr(text)


def messages(client: Redis) -> list[Any]:
    """Celery's messages that wait."""
    return [json.loads(message) for message in client.lrange("dtmf.wake", 0, -1)]


def queued(client: Redis, ch: str = CH) -> list[Any]:
    """The ids of the tasks that wait on a channel, in order."""
    return client.lrange(f"dtmf:q:{ch}", 0, -1)


class Hands:
    """What a worker does to the channel of CALL, step by step."""

    def __init__(self, client: Redis) -> None:
        self._queue = ChannelQueue(client, Limits(lease=60_000), worker="w1")

    def claim(self) -> Send:
        step = self._queue.claim(CH, "token", SIGNER)
        assert isinstance(step, Send)
        return step

    def settle(self, send: Send, verdict: Verdict, **facts: Any) -> Step:
        return self._queue.settle(CH, "token", send.mark, verdict, SIGNER, **facts)

    def fail(self, code: str = "InvalidParameter", *, gone: bool = False) -> None:
        """Let the head of the channel fail at its first digit."""
        error = "Gone" if gone else "Rejected"
        self.settle(self.claim(), Verdict.FAILED, code=code, error=error, gone=gone)
