"""The verdict must be able to say that a promise was broken: each way to break one, in a doctored log."""

from collections.abc import Callable
from typing import Any

import pytest

from worker.demo.verdict import Enqueued, Verdict, judge
from worker.record import Outcome, Record
from worker.vault import Vault

VAULT = Vault([bytes(32)])
NOW = 1_800_000_000.0
TASKS = [Enqueued("t1", "ch", "12", NOW, NOW + 30), Enqueued("t2", "ch", "3", NOW, NOW + 30)]
Log = list[dict[str, Any]]


def heard(task: str, index: int, key: str, *, at: float = NOW + 1, attempt: int = 1) -> dict[str, Any]:
    nonce = VAULT.nonce(VAULT.kid, task, index, attempt)
    return {"seq": 0, "channel_id": "ch", "key": key, "nonce": nonce, "received_at": at, "executed_at": at}


def record(task: str, *outcomes: str) -> Record:
    digits = [{"index": n, "outcome": outcome, "attempts": 1} for n, outcome in enumerate(outcomes, start=1)]
    state = "sent" if set(outcomes) == {"sent"} else "unknown"
    times = {"enqueued_at": 0, "ended_at": 1, "deadline": 2}
    return Record.model_validate({"id": task, "ch": "c", "state": state, "digits": digits, **times})


def all_heard() -> Log:
    return [heard("t1", 1, "1"), heard("t1", 2, "2"), heard("t2", 1, "3")]


def verdict_on(log: Log, *records: Record, complete: bool = True, requests: Log | None = None) -> Verdict:
    records = records or (record("t1", "sent", "sent"), record("t2", "sent"))
    by_id = {one.id: one for one in records}
    must = ["ch"] if complete else []
    return judge(TASKS, by_id, log, VAULT, must_be_complete=must, requests=requests or [])


def test_a_clean_run_breaks_no_promise() -> None:
    verdict = verdict_on(all_heard())
    assert verdict.broken == []
    assert (verdict.enqueued, verdict.heard, verdict.states) == (3, 3, {"sent": 2})


def swap(log: Log) -> Log:
    return [log[1], log[0], log[2]]


def swap_tasks(log: Log) -> Log:
    return [log[2], log[0], log[1]]


def double(log: Log) -> Log:
    return [*log, log[2]]


def double_under_a_new_nonce(log: Log) -> Log:
    return [log[0], heard("t1", 1, "1", attempt=2), *log[1:]]


def lose(log: Log) -> Log:
    return [log[0], log[2]]


def delay(log: Log) -> Log:
    return [*log[:2], heard("t2", 1, "3", at=NOW + 31)]


def change_the_key(log: Log) -> Log:
    return [log[0], heard("t1", 2, "9"), log[2]]


def add_a_stranger(log: Log) -> Log:
    return [*log, {**log[0], "nonce": "0" * 32}]


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        (swap, "out_of_order"),
        (swap_tasks, "out_of_order"),
        (double, "doubled"),
        (double_under_a_new_nonce, "doubled"),
        (lose, "lost"),
        (delay, "late"),
        (change_the_key, "false"),
        (add_a_stranger, "false"),
    ],
)
def test_each_broken_promise_is_seen(tamper: Callable[[Log], Log], named: str) -> None:
    verdict = verdict_on(tamper(all_heard()))
    assert getattr(verdict, named)
    assert verdict.broken == getattr(verdict, named)


def test_a_task_without_a_record_is_lost() -> None:
    assert verdict_on(all_heard(), record("t1", "sent", "sent")).lost == ["task t2: no record"]


def test_a_digit_that_was_heard_though_its_record_denies_it_is_false() -> None:
    records = record("t1", "sent", "sent"), record("t2", "not_sent")
    assert verdict_on(all_heard(), *records).false


def test_a_digit_of_unknown_fate_may_have_been_heard_or_not() -> None:
    records = record("t1", "sent", "unknown"), record("t2", "not_sent")
    assert verdict_on(all_heard()[:1], *records, complete=False).broken == []
    assert verdict_on(all_heard()[:2], *records, complete=False).broken == []


def test_a_presumed_digit_that_was_not_heard_is_lost_unless_an_error_had_burnt_its_nonce() -> None:
    records = record("t1", "sent", "presumed"), record("t2", "not_sent")
    log = all_heard()[:1]
    assert verdict_on(log, *records, complete=False).lost
    refusal = {"nonce": VAULT.nonce(VAULT.kid, "t1", 2, 1), "executed": False, "code": "NotExists.JobId"}
    excused = verdict_on(log, *records, complete=False, requests=[refusal])
    assert (excused.broken, len(excused.limits)) == ([], 1)
    copy = {**refusal, "code": "SignatureNonceUsed"}
    assert verdict_on(log, *records, complete=False, requests=[copy]).lost


def test_no_line_of_a_verdict_shows_a_key() -> None:
    verdict = verdict_on(change_the_key(double(all_heard())))
    assert all(Outcome.SENT not in line and "'9'" not in line for line in verdict.broken)
