"""10,000 mutilated messages on the list of foreign producers: nobody is harmed by them, and nothing of them shows."""

import base64
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.figures import report
from tests.fleet.conftest import GroundMaker
from tests.fleet.foreign import LIST, kwargs_of, note, protocol_1, protocol_2, put
from tests.fleet.harness import QUICK, Ground, Line, Scene, until
from tests.fleet.mutilated import CALLED, CALLER, PIN, mutilated_messages
from tests.fleet.test_secrecy import everything
from worker.message import BadMessage, read_task

MANY = 10_000
BETWEEN = 50
HARMLESS = 100
HUGE = 5
PATIENCE_S = 120.0


def encoded(text: str) -> Iterator[str]:
    """What the base64 of anything that holds this text holds, wherever in it the text stands."""
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + text.encode()).decode()
        yield whole[4 if shift else 0 : len(whole) // 4 * 4 - 4]


def mutilated(ground: Ground) -> tuple[list[bytes], set[str]]:
    """The messages, and the ids of those of them that hold no task.

    What is mutilated may be well-formed still, and is sent then; of such a few are enough.
    """
    messages: list[bytes] = []
    ids, harmless = set(), 0
    for raw in mutilated_messages(MANY + MANY // 3):
        try:
            read_task(raw.decode(errors="surrogateescape"), ground.send_dtmf.door.settings)
            harmless += 1
            if harmless > HARMLESS:
                continue
        except BadMessage as error:
            ids.add(error.task_id or "")
        messages.append(raw)
        if len(messages) == MANY:
            break
    assert len(messages) == MANY
    assert harmless > HARMLESS
    return messages, ids - {""}


@pytest.mark.timeout(400)
def test_every_well_formed_message_among_mutilated_ones_is_sent(new_ground: GroundMaker) -> None:
    ground = new_ground(DTMF_CONCURRENCY=32, **QUICK)
    workers = ground.start("one", "two")
    scene, lines = Scene(ground), [Line.new() for _ in range(20)]
    messages, dead_ids = mutilated(ground)
    began = time.monotonic()
    put(ground.client, *[b"x" * 3_000_000] * HUGE)
    for number, start in enumerate(range(0, MANY, BETWEEN)):
        put(ground.client, *messages[start : start + BETWEEN])
        line, dtmf, task_id = lines[number % len(lines)], f"{number % 10}{number // 10 % 10}#", f"good-{number}"
        write = protocol_1 if number % 3 else protocol_2
        put(ground.client, write(kwargs_of(line, dtmf, expires_in=3600), task_id))
        note(scene, task_id, line, dtmf)
    until(lambda: not ground.client.exists(LIST), "an empty list", PATIENCE_S)
    report(f"{MANY} mutilated messages and {len(scene.tasks)} others were taken in {time.monotonic() - began:.1f} s")
    scene.settle(PATIENCE_S)
    assert scene.verdict(complete=True).broken == []
    assert scene.transcript() == scene.enqueued()
    assert int(ground.client.get("dtmf:dead:count") or 0) == MANY - HARMLESS + HUGE

    # Who has an id hears of it. An id that is written on two messages may stand for a task that was accepted.
    client: Any = ground.client
    told = {fields["id"] for _, fields in client.xrange("dtmf:refusals")}
    assert told <= dead_ids
    assert len(told) > len(dead_ids) * 0.9
    last = client.xrevrange("dtmf:refusals", count=1)[0][1]["id"]
    until(lambda: ground.client.get(f"celery-task-meta-{last}"), "the last refusal", PATIENCE_S)

    assert [worker.exit_status for worker in workers] == [None, None]
    assert ground.faults() == []
    secrets = [PIN, CALLER, CALLED, *encoded(CALLER), *encoded(CALLED)]
    texts = [ground.logs(), *everything(ground.client)]
    assert [secret for secret in secrets for text in texts if secret in text] == []
