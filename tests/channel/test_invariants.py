"""The promises and the protocol's invariants, under every order of events that hypothesis thinks of."""

from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from redis import Redis

from tests.channel.desk import Desk
from tests.channel.model import WAYS, Api, Nonce, Worker, settle
from worker.channel.steps import Left, Send, Verdict
from worker.record import Record

CHANNELS = st.sampled_from(["a", "b"])
WORKERS = st.sampled_from([0, 1, 2])


class Channels(RuleBasedStateMachine):
    """Two channels, three workers, an API, and whatever may go wrong between them."""

    client: ClassVar[Redis]

    @initialize(burns=st.booleans())
    def begin(self, burns: bool) -> None:
        self.client.flushall()
        # A wait of any length is sat out or left by the run; that no lease ends by itself keeps examples exact.
        self.desk = Desk(self.client, lease=3_600_000, step_wait=1_000_000)
        self.api = Api(burns)
        self.workers = [Worker(name) for name in ("ann", "bob", "cid")]
        self.order: dict[str, list[str]] = {"a": [], "b": []}
        self.attempts: dict[tuple[str, int], int] = {}
        self.sole_refusals: set[tuple[str, int, int]] = set()
        self.given_up: set[Nonce] = set()
        self.recorded: dict[str, Record] = {}

    # What producers do

    @rule(ch=CHANNELS, n=st.integers(1, 3), go_on=st.booleans())
    def enqueue(self, ch: str, n: int, go_on: bool) -> None:
        task = f"{ch}{len(self.order[ch])}"
        answer = self.desk.enqueue(task, ch=ch, n=n, go_on=go_on, expires_in=3_600_000)
        if answer[0] in {"QUEUED", "PUBLISH"}:
            self.order[ch].append(task)
        else:
            assert answer[0] == "BROKEN"
            assert not go_on

    @rule(ch=CHANNELS, which=st.integers(0, 3))
    def cancel(self, ch: str, which: int) -> None:
        waiting = self.desk.waiting(ch)
        if which < len(waiting):
            assert self.desk.queue.cancel(waiting[which])[0] in {"DONE", "REQUESTED"}

    @rule(ch=CHANNELS)
    def purge(self, ch: str) -> None:
        """All that stays is a task whose digit may be on its way."""
        marked = self.desk.channel(ch).get("task")
        waited = len(self.desk.waiting(ch))
        purged = self.desk.queue.purge(ch)
        assert purged.in_progress == marked
        assert self.desk.waiting(ch) == ([marked] if marked else [])
        assert purged.ended == waited - len(self.desk.waiting(ch))

    @rule(ch=CHANNELS)
    def pause(self, ch: str) -> None:
        self.desk.queue.pause(ch)

    @rule(ch=CHANNELS)
    def resume(self, ch: str) -> None:
        self.desk.queue.resume(ch)

    # What workers do

    @rule(which=WORKERS, ch=CHANNELS, stop=st.sampled_from([False, False, False, True]))
    def claim(self, which: int, ch: str, stop: bool) -> None:
        """A message: serve this channel. A worker that serves another one has hung and is replaced."""
        worker = self.workers[which]
        if worker.ch is None:
            worker.begin(ch)
            worker.learn(self.desk.claim(worker.token, ch=ch, stop=stop))

    @rule(which=WORKERS)
    def claim_again(self, which: int) -> None:
        """After a wait, or after an answer of the server that was lost."""
        worker = self.workers[which]
        if worker.ch and not worker.fate:
            worker.learn(self.desk.claim(worker.token, ch=worker.ch))

    @rule(which=WORKERS, way=st.sampled_from(WAYS))
    def press(self, which: int, way: str) -> None:
        """Send a copy. The worker may have lost the channel long ago: a lease cannot stop it."""
        worker = self.workers[which]
        if not (worker.step and worker.attempt and worker.ch) or worker.fate:
            return
        nonce = worker.nonce
        assert nonce
        number = self.order[worker.ch].index(nonce[0])
        answer = self.api.press(worker.ch, number, nonce, way)
        worker.attempt.copies += 1
        worker.fate = worker.attempt.judge(answer)

    @rule(which=WORKERS)
    def out_of_time(self, which: int) -> None:
        worker = self.workers[which]
        if worker.attempt and not worker.fate:
            worker.fate = worker.attempt.out_of_time()

    @rule(which=WORKERS, lost=st.sampled_from([None, None, None, "before", "after"]))
    def settle(self, which: int, lost: str | None) -> None:
        """Tell the queue; the call may be lost, or its answer, and is then made again as it was."""
        worker = self.workers[which]
        if not worker.fate or lost == "before":
            return
        step = settle(self.desk, worker)
        nonce = worker.nonce
        assert nonce
        if step is not Left.STALE and worker.fate.verdict is Verdict.UNKNOWN and worker.fate.may_arrive:
            self.given_up.add(nonce)
        if step is not Left.STALE and worker.fate.verdict is Verdict.RETRY:
            mark = worker.step.mark if worker.step else None
            assert mark
            self.sole_refusals.add((mark.task, mark.digit, mark.attempt))
        if lost == "after":
            worker.unsure = True
        elif step is Left.STALE and worker.unsure:
            worker.fate = None
            worker.unsure = False
            worker.learn(self.desk.claim(worker.token, ch=worker.ch or ""))
        else:
            worker.learn(step)

    @rule(which=WORKERS)
    def release(self, which: int) -> None:
        worker = self.workers[which]
        if worker.step and worker.attempt and worker.ch and not worker.fate:
            attempt = worker.attempt
            step = self.desk.release(worker.token, ch=worker.ch, unsent=not attempt.doubt, throttled=attempt.throttled)
            worker.learn(step)

    @rule(which=WORKERS)
    def die(self, which: int) -> None:
        self.workers[which] = Worker(self.workers[which].name, self.workers[which].runs)

    # What time and the server do

    @rule(ch=CHANNELS)
    def lease_over(self, ch: str) -> None:
        if "token" in self.desk.channel(ch):
            self.desk.lease_over(ch)

    @rule()
    def restart(self) -> None:
        self.desk.restarted()

    @rule()
    def sweep(self) -> None:
        for ch in self.desk.redis.zrange("dtmf:due", 0, -1):
            self.desk.sweep_due(ch)
        orphans = self.desk.sweep(10)
        for ch in ("a", "b"):
            channel = self.desk.channel(ch)
            live = int(channel.get("lease_until", 0)) > 1 and channel.get("boot") != "an-earlier-boot"
            assert (ch in orphans) == (bool(self.desk.waiting(ch)) and not live)

    @rule(ch=CHANNELS)
    def pause_over(self, ch: str) -> None:
        """Holds end as well: what the network still had of an attempt that was given up is gone by then."""
        for worker in self.workers:
            if worker.ch == ch and worker.nonce in self.given_up:
                worker.learn(self.desk.claim("nobody", ch="nothing"))
        self.desk.pause_over(ch)

    @precondition(lambda self: any("deadline" in self.desk.task(t) for t in self.heads()))
    @rule(ch=CHANNELS)
    def deadline_over(self, ch: str) -> None:
        for task in self.desk.waiting(ch)[:1]:
            self.desk.deadline_over(task)

    def heads(self) -> list[str]:
        return [task for ch in ("a", "b") for task in self.desk.waiting(ch)[:1]]

    # What must hold after every step

    @invariant()
    def all_holds(self) -> None:
        """One invariant, so that a failing example reads as the story that it is."""
        self.i1_the_only_mark_is_the_heads()
        self.i3_a_new_attempt_only_after_a_sole_refusal()
        self.i5_a_task_waits_or_has_one_record()
        self.i7_a_queue_that_is_not_empty_is_due()
        self.digits_are_heard_in_order_and_once()
        self.records_say_what_was_heard()

    def i1_the_only_mark_is_the_heads(self) -> None:
        for ch in ("a", "b"):
            channel = self.desk.channel(ch)
            if "task" in channel:
                assert self.desk.waiting(ch)[:1] == [channel["task"]]
                assert {"digit", "attempt", "signed_at", "kid", "ak"} <= set(channel)
                settled = [key for key in self.desk.task(channel["task"]) if key[1:].isdigit()]
                assert len(settled) == int(channel["digit"]) - 1

    def i3_a_new_attempt_only_after_a_sole_refusal(self) -> None:
        for ch in ("a", "b"):
            channel = self.desk.channel(ch)
            if "task" in channel:
                task, digit, attempt = channel["task"], int(channel["digit"]), int(channel["attempt"])
                known = self.attempts.get((task, digit), 0)
                assert attempt in {known, known + 1}
                assert attempt == 1 or (task, digit, attempt - 1) in self.sole_refusals
                self.attempts[task, digit] = attempt
                nonce = int(channel["nonce"])
                assert nonce == 1 or (task, digit, nonce - 1) in self.api.used, "two nonces under which it is taken"

    def i5_a_task_waits_or_has_one_record(self) -> None:
        stream = self.desk.stream()
        ended = [record.id for record in stream]
        assert len(ended) == len(set(ended))
        waiting = [*self.desk.waiting("a"), *self.desk.waiting("b")]
        assert sorted([*ended, *waiting]) == sorted([*self.order["a"], *self.order["b"]])
        assert self.desk.counted() == len(waiting)
        for task in waiting:
            assert self.desk.task(task)
        for ch in ("a", "b"):
            assert self.desk.waiting(ch) == [task for task in self.order[ch] if task in waiting]
        self.recorded = {record.id: record for record in stream}

    def i7_a_queue_that_is_not_empty_is_due(self) -> None:
        for ch in ("a", "b"):
            if self.desk.waiting(ch):
                assert self.desk.due(ch) is not None
            elif self.desk.due(ch) is None:
                assert self.desk.redis.pttl(f"dtmf:ch:{ch}") != -1

    def digits_are_heard_in_order_and_once(self) -> None:
        for ch, heard in self.api.heard.items():
            assert heard == sorted(set(heard)), f"channel {ch} heard {heard}"

    def records_say_what_was_heard(self) -> None:
        heard = {(self.order[ch][number], digit) for ch in self.api.heard for number, digit in self.api.heard[ch]}
        for task, record in self.recorded.items():
            assert [digit.index for digit in record.digits] == list(range(1, len(record.digits) + 1))
            for digit in record.digits:
                was_heard = (task, digit.index) in heard
                match digit.outcome:
                    case "sent":
                        assert was_heard
                    case "presumed":
                        assert was_heard or self.api.burns
                    case "failed" | "not_sent":
                        assert not was_heard, f"{task} digit {digit.index} is recorded as {digit.outcome}"

    def teardown(self) -> None:
        """Every stalled worker wakes up and sends what it had; then every queue is served to its end."""
        if not hasattr(self, "workers"):
            return
        for which in range(len(self.workers)):
            self.press(which, "ok")
        self.digits_are_heard_in_order_and_once()
        self.records_say_what_was_heard()
        for ch in ("a", "b"):
            self.serve_to_the_end(ch)
        self.all_holds()

    def serve_to_the_end(self, ch: str) -> None:
        """Nothing is stuck: a live worker brings every task to its end."""
        self.desk.queue.resume(ch)
        self.lease_over(ch)
        worker = self.workers[0] = Worker("dan")
        for _ in range(1000):
            if not self.desk.waiting(ch):
                return
            self.pause_over(ch)
            if worker.ch is None:
                worker.begin(ch)
                worker.learn(self.desk.claim(worker.token, ch=ch))
            elif worker.fate:
                self.settle(0, None)
            elif isinstance(worker.step, Send):
                self.press(0, "ok")
            else:
                self.claim_again(0)
        pytest.fail(f"channel {ch} is stuck with {self.desk.waiting(ch)}: {self.desk.channel(ch)}, {worker}")


def test_the_promises_hold_whatever_happens(redis_client: Redis) -> None:
    Channels.client = redis_client
    Channels.TestCase.settings = settings(
        max_examples=60,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        # To see the shortest story of a failure, allow shrinking; it takes minutes.
        phases=[Phase.reuse, Phase.generate],
    )
    test = Channels.TestCase("runTest")
    test.runTest()
