"""Credentials and secret keys: what a run does without them, or with others than a digit was sent under."""

import pytest

from tests.run.answers import LOST, USED
from tests.run.stage import CH, CREDENTIALS, KEY, OTHER_KEY, Stage
from worker.ccc import (
    Credentials,
    Unanswered,
)
from worker.vault import Vault


def test_a_dead_runs_digit_is_sent_again_under_its_own_nonce(stage: Stage) -> None:
    stage.enqueue("t1")
    mark = stage.desk.take("dead", ch=CH).mark
    stage.desk.redis.hset(
        f"dtmf:ch:{CH}",
        mapping={"kid": stage.vault.kid, "ak": CREDENTIALS.fingerprint, "signed_at": 1_700_000_000},
    )
    stage.desk.lease_over(CH)
    stage.api.cues = [USED]
    stage.serve()
    (heard,) = stage.api.heard
    assert heard.nonce == stage.vault.nonce(stage.vault.kid, "t1", 1, mark.attempt)
    assert heard.signed_at == 1_700_000_000
    assert stage.settled() == [("t1", "presumed")]


def test_a_dead_runs_digit_is_not_sent_again_under_another_access_key(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.enqueue("t2", "2", on_failure="continue")
    stage.desk.take("dead", ch=CH)
    stage.desk.redis.hset(f"dtmf:ch:{CH}", mapping={"kid": stage.vault.kid, "ak": "of another key"})
    stage.desk.lease_over(CH)
    stage.serve()
    assert stage.api.heard == []
    assert stage.settled() == [("t1", "unknown")]
    assert stage.desk.waiting(CH) == ["t2"], "held: the dead run's copy may still be executed"


def test_a_dead_runs_digit_waits_for_a_worker_that_knows_its_secret_key(stage: Stage) -> None:
    """Under another key its nonce would be another, and the digit could be pressed twice."""
    stage.enqueue("t1")
    stage.desk.take("dead", ch=CH)
    stage.desk.redis.hset(f"dtmf:ch:{CH}", mapping={"kid": "12345678", "ak": CREDENTIALS.fingerprint})
    stage.desk.lease_over(CH)
    stage.serve()
    assert (stage.api.heard, stage.settled(), stage.is_free()) == ([], [], True)
    assert stage.desk.channel(CH)["kid"] == "12345678"


def test_a_digit_of_an_earlier_secret_key_is_sent_again_if_that_is_still_known(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.desk.take("dead", ch=CH)
    kid = Vault([OTHER_KEY]).kid
    stage.desk.redis.hset(f"dtmf:ch:{CH}", mapping={"kid": kid, "ak": CREDENTIALS.fingerprint})
    stage.desk.lease_over(CH)
    stage.vault = type(stage.vault)([KEY, OTHER_KEY])
    stage.serve()
    assert stage.api.nonces == [Vault([OTHER_KEY]).nonce(kid, "t1", 1, 1)]
    assert stage.settled() == [("t1", "sent")]


def test_a_mark_names_the_credentials_that_it_is_sent_with(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.credentials = Credentials("LTAI-other", "other")
    marks: list[str] = []

    def look() -> Unanswered:
        marks.append(stage.desk.channel(CH)["ak"])
        return LOST

    stage.api.cues = [look]
    stage.serve()
    assert marks == [stage.credentials.fingerprint]
    assert {heard.credentials for heard in stage.api.heard} == {stage.credentials}


def test_without_credentials_nothing_is_marked_and_the_task_waits_for_them(stage: Stage) -> None:
    stage.enqueue("t1", "12")
    stage.credentials = None
    stage.serve()
    assert (stage.api.heard, stage.settled(), stage.is_free()) == ([], [], True)
    assert "task" not in stage.desk.channel(CH)
    stage.credentials = CREDENTIALS
    stage.serve()
    assert stage.settled() == [("t1", "sent")]


def test_without_credentials_a_task_still_expires(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.credentials = None
    stage.desk.deadline_over("t1")
    stage.serve()
    assert stage.settled() == [("t1", "expired")]


def test_without_credentials_a_dead_runs_digit_keeps_its_mark(stage: Stage) -> None:
    stage.enqueue("t1")
    stage.desk.take("dead", ch=CH)
    stage.desk.redis.hset(f"dtmf:ch:{CH}", mapping={"kid": stage.vault.kid, "ak": CREDENTIALS.fingerprint})
    stage.desk.lease_over(CH)
    stage.credentials = None
    stage.serve()
    assert (stage.settled(), stage.is_free()) == ([], True)
    stage.credentials = CREDENTIALS
    stage.api.cues = [USED]
    stage.serve()
    assert stage.settled() == [("t1", "presumed")]


def test_a_worker_without_the_secret_key_leaves_the_task_to_one_that_has_it(stage: Stage) -> None:
    stage.enqueue("t1")
    vault, stage.vault = stage.vault, type(stage.vault)([OTHER_KEY])
    stage.serve()
    assert (stage.api.heard, stage.settled(), stage.is_free()) == ([], [], True)
    stage.vault = vault
    stage.desk.pause_over(CH)
    stage.serve()
    assert stage.settled() == [("t1", "sent")]


@pytest.mark.parametrize(("copies", "state"), [(0, "expired"), (1, "unknown")])
def test_a_task_that_nobody_can_decrypt_ends_at_its_deadline(stage: Stage, copies: int, state: str) -> None:
    stage.enqueue("t1")
    if copies:
        stage.desk.take("dead", ch=CH)
        stage.desk.redis.hset(f"dtmf:ch:{CH}", mapping={"kid": stage.vault.kid, "ak": CREDENTIALS.fingerprint})
        stage.desk.lease_over(CH)
    stage.vault = type(stage.vault)([OTHER_KEY])
    stage.serve()
    assert stage.settled() == []
    stage.desk.deadline_over("t1")
    stage.serve()
    assert stage.api.heard == []
    assert stage.settled() == [("t1", state)]
