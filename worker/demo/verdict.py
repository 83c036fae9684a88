"""The verdict: what the simulator's own log says about the promises, digit by digit.

A heard digit is known by its nonce, which only its task, index and a small number under the deployment's secret key
can have made; the key that was heard is then compared with the one that was enqueued.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.record import Outcome, Record, State
from worker.vault import Vault

_MOST_ATTEMPTS = 60
# Codes in the log of requests that burn no nonce: the request never got that far, or was itself a copy.
_NO_REFUSAL = {"(dropped)", "(page)", "(redirect)", "SignatureNonceUsed"}
_TAKEN = {Outcome.SENT, Outcome.PRESUMED}
# Between the last look at the clock, right before the write, and the simulator's note lies the way through the
# loopback interface and two busy processes.
LATE_SLACK_S = 0.25


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A task that was accepted: its keys, and when (s since 1970) it was enqueued and must be over."""

    id: str
    channel_id: str
    keys: str
    at: float
    deadline: float


@dataclass(slots=True)
class Verdict:
    """What was found, each fault as a line that names channel or task by place, never a key.

    Attributes:
        enqueued: digits of accepted tasks.
        heard: digits that the simulator executed.
        out_of_order: digits heard after one that stands behind them.
        doubled: digits heard more than once.
        lost: digits that should have been heard and were not, and tasks without a record.
        late: digits that arrived after their task's deadline.
        false: digits whose record says what is not true, or whose key was another.
        limits: digits recorded as presumed though an error answer, lost on its way, had burnt their nonce. Only the
            API could tell; see docs/guarantees.md. No promise is broken by them.
        delays: seconds from enqueue to heard, for each digit.
        states: how many tasks ended in each state.
    """

    enqueued: int = 0
    heard: int = 0
    out_of_order: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    false: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    states: dict[State, int] = field(default_factory=dict)

    @property
    def broken(self) -> list[str]:
        """Every fault; empty if the promises held."""
        return [*self.out_of_order, *self.doubled, *self.lost, *self.late, *self.false]

    def percentile(self, percent: float) -> float:
        """Seconds from enqueue to heard that so many percent of the digits stayed within."""
        ordered = sorted(self.delays)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0


def judge(
    tasks: Sequence[Enqueued],
    records: Mapping[str, Record],
    heard: Iterable[Mapping[str, Any]],
    vault: Vault,
    *,
    must_be_complete: Iterable[str] = (),
    requests: Iterable[Mapping[str, Any]] = (),
) -> Verdict:
    """Compare what was heard with what was enqueued.

    Args:
        tasks: the accepted tasks, on each channel in the order in which they were enqueued.
        records: their records by id.
        heard: the simulator's log of digits, in the order of execution.
        vault: of the deployment's secret keys, to know a digit by its nonce.
        must_be_complete: channels on which every digit must be heard, whatever the records say.
        requests: the simulator's log of requests, to know the nonces that an error answer burnt.
    """
    verdict = Verdict(enqueued=sum(len(task.keys) for task in tasks))
    complete = set(must_be_complete)
    names = _names(tasks, records, vault)
    refused = {entry["nonce"] for entry in requests if not entry["executed"] and entry["code"] not in _NO_REFUSAL}
    burnt = {names[nonce] for nonce in refused if nonce in names}
    heard_on = _hear(verdict, heard, names, {task.id: task for task in tasks})
    lines: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for task in tasks:
        lines[task.channel_id] += [(task.id, index) for index in range(1, len(task.keys) + 1)]
    for channel_id, line in lines.items():
        _judge_channel(verdict, line, heard_on[channel_id], records, burnt, complete=channel_id in complete)
    for task in tasks:
        record = records.get(task.id)
        if record is None:
            verdict.lost.append(f"task {task.id}: no record")
        else:
            verdict.states[record.state] = verdict.states.get(record.state, 0) + 1
    return verdict


def _hear(
    verdict: Verdict,
    heard: Iterable[Mapping[str, Any]],
    names: Mapping[str, tuple[str, int]],
    tasks: Mapping[str, Enqueued],
) -> Mapping[str, list[tuple[str, int]]]:
    """Judge each heard digit by itself; answers what each channel heard, in order."""
    heard_on: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for event in heard:
        verdict.heard += 1
        name = names.get(event["nonce"])
        if name is None or tasks[name[0]].channel_id != event["channel_id"]:
            verdict.false.append(f"heard digit {event['seq']}: nobody enqueued it")
            continue
        task = tasks[name[0]]
        if task.keys[name[1] - 1] != event["key"]:
            verdict.false.append(f"task {task.id} digit {name[1]}: another key was heard")
        if event["received_at"] > task.deadline + LATE_SLACK_S:
            verdict.late.append(f"task {task.id} digit {name[1]}: heard after its deadline")
        verdict.delays.append(event["executed_at"] - task.at)
        heard_on[task.channel_id].append(name)
    return heard_on


def _names(tasks: Sequence[Enqueued], records: Mapping[str, Record], vault: Vault) -> dict[str, tuple[str, int]]:
    names = {}
    for task in tasks:
        record = records.get(task.id)
        for index in range(1, len(task.keys) + 1):
            # No more nonces than attempts.
            attempts = record.digits[index - 1].attempts + 1 if record else _MOST_ATTEMPTS
            for number in range(1, attempts + 1):
                names[vault.nonce(vault.kid, task.id, index, number)] = (task.id, index)
    return names


def _judge_channel(
    verdict: Verdict,
    line: list[tuple[str, int]],
    heard: list[tuple[str, int]],
    records: Mapping[str, Record],
    burnt: set[tuple[str, int]],
    *,
    complete: bool,
) -> None:
    place = {name: number for number, name in enumerate(line)}
    furthest = -1
    seen: set[tuple[str, int]] = set()
    for name in heard:
        if name in seen:
            verdict.doubled.append(f"task {name[0]} digit {name[1]}: heard again")
            continue
        seen.add(name)
        if place[name] < furthest:
            verdict.out_of_order.append(f"task {name[0]} digit {name[1]}: heard after one behind it")
        furthest = max(furthest, place[name])
    for name in line:
        record = records.get(name[0])
        outcome = record.digits[name[1] - 1].outcome if record else None
        if name in seen:
            if outcome in {Outcome.NOT_SENT, Outcome.FAILED}:
                verdict.false.append(f"task {name[0]} digit {name[1]}: heard, but recorded as {outcome}")
        elif outcome is Outcome.PRESUMED and name in burnt:
            verdict.limits.append(f"task {name[0]} digit {name[1]}: presumed, but an error had burnt its nonce")
        elif complete or outcome in _TAKEN:
            verdict.lost.append(f"task {name[0]} digit {name[1]}: not heard, but recorded as {outcome}")
