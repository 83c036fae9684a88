"""What a terminal alone is shown, and asked."""

import os
import re

from redis import Redis

from tests.cli.conftest import Dtmf
from tests.cli.desk import Terminal
from tests.producer.crm import CALL, CH, PERSONAL, queued

CHANNEL, PIN = CALL["channel_id"], CALL["dtmf"]


def enqueue(dtmf: Dtmf) -> None:
    done = dtmf("send", "--channel", CHANNEL, "--job", CALL["job_id"], "--task-id", "mine", "--no-wait", PIN)
    assert done.exit_code == 0, done.stderr


def show(*words: str, status: int = 0) -> str:
    """What a terminal shows of a command."""
    with Terminal(*words, env=dict(os.environ)) as terminal:
        assert terminal.end() == status, terminal.shown
    assert max(len(line) for line in terminal.shown.splitlines()) <= 80
    return terminal.shown


def test_personal_data_is_shown_to_who_asks_for_it(dtmf: Dtmf) -> None:
    enqueue(dtmf)
    for words in (("channel", "--reveal", CHANNEL), ("status", "--reveal", "mine")):
        shown = show(*words)
        assert PIN in shown
        # Folded at the edge.
        assert CHANNEL in re.sub(r"\s", "", shown)
    shown = show("channel", CHANNEL)
    assert "mine" in shown
    assert not [marker for marker in PERSONAL if marker in shown]
    dtmf("cancel", "mine")
    assert "its keys are gone with the task" in show("status", "--reveal", "mine", status=1)


def test_nobody_gets_personal_data_as_json(dtmf: Dtmf) -> None:
    enqueue(dtmf)
    shown = show("channel", "--reveal", "--json", CH, status=2)
    assert "--json never holds digits" in shown


def test_a_purge_asks_before(dtmf: Dtmf, redis_client: Redis) -> None:
    enqueue(dtmf)
    for answer, status in (("n", 1), ("y", 0)):
        assert queued(redis_client) == ["mine"]
        with Terminal("purge", CHANNEL, env=dict(os.environ)) as terminal:
            terminal.wait_for(f"Cancel 1 task of channel {CH}? [y/N]:")
            terminal.type(f"{answer}\n")
            assert terminal.end() == status
        assert ("1 task cancelled" in terminal.shown) == (status == 0)
    assert queued(redis_client) == []
