"""The judgement at the end of a case: what the API heard, against what was enqueued and what the records say."""

from collections import Counter
from dataclasses import dataclass, field

from tests.enumerate.actors import LIMITS
from tests.enumerate.acts import EXPIRE, HANG, LOSE, LOSE_AND_LEAVE, RESTART, SLEEP, STOP
from tests.enumerate.api import Copy
from tests.enumerate.watch import HOLD_MS, REFUSALS, USED, Press, insist
from tests.enumerate.world import Asked, World
from worker.record import Outcome, Record, State

KEPT = {"dtmf:records", "dtmf:waiting", "dtmf:burns"}
FULL = {State.SENT, State.PRESUMED}
BREAKS = {State.FAILED, State.EXPIRED, State.UNKNOWN}
FINAL = ("NotExists", "InvalidParameter")
# The documented limits.
OUT_OF_ORDER = "V3: a copy that was written after the hold is heard out of order"
LATE = "V10: a copy that was written after a pause behind the last look at the clock is heard late"
PRESUMED = "V7: presumed, and a refusal that nobody read had burnt the nonce"
DISTURBANCES = {act.label for act in (STOP, SLEEP, HANG, LOSE, LOSE_AND_LEAVE, RESTART, EXPIRE)}
Place = tuple[str, int]


@dataclass
class Judge:
    """Looks at a world in which nothing happens any more.

    Attributes:
        limits: the documented limits that showed, by their names above.
    """

    world: World
    limits: Counter[str] = field(default_factory=Counter)

    def judge(self) -> Counter[str]:
        """Raise Broken, or answer which of the documented limits showed."""
        self.records, self.waiting = self.world.ended()
        self.by_id = {record.id: record for record in self.records}
        self.order = list(self.world.watch.accepted)
        self.copies: dict[Place, list[tuple[Press, Copy]]] = {}
        self.heard: list[tuple[Press, Copy]] = []
        for copy in self.world.api.copies:
            self.copies.setdefault(copy.press[:2], []).append((copy.press, copy))
        executed = [copy for copy in self.world.api.copies if copy.heard]
        for copy in sorted(executed, key=lambda copy: copy.heard or 0):
            self.heard.append((copy.press, copy))
        self.silenced = self.world.disturbed(DISTURBANCES)
        self.disturbed = self.world.restarted or bool(self.silenced)
        self.each_task_has_one_record()
        self.nothing_is_heard_twice_or_out_of_order()
        for task in self.order:
            self.record_is_true(self.by_id[task])
        self.nothing_is_left_out()
        self.requests_were_kept()
        return self.limits

    def each_task_has_one_record(self) -> None:
        ended = sorted(record.id for record in self.records)
        insist(ended == sorted(self.order), f"{self.order} were accepted, and {ended} have a record")
        insist(not self.waiting, "tasks wait for ever")

    def nothing_stood_still(self) -> None:
        """Where nothing has gone wrong, everything is done at once: no time had to pass."""
        well = all(copy.read and copy.code == "OK" for copy in self.world.api.copies)
        if well and not self.disturbed and not any(asked.what == "pause" for asked in self.world.asked):
            insist(not self.world.passed_ms, f"the channel stood still for {self.world.passed_ms} ms")

    def nothing_is_left(self) -> None:
        """Long afterwards no key is there that nobody owns."""
        left = self.world.left() - KEPT
        insist(not left, f"left behind: {sorted(left)}")

    # What was heard

    def nothing_is_heard_twice_or_out_of_order(self) -> None:
        seen: set[Place] = set()
        latest: dict[str, tuple[int, int]] = {}
        for press, copy in self.heard:
            given = self.world.given[press.task]
            insist(copy.key == given.keys[press.digit - 1], f"{press} was sent as another key")
            if press[:2] in seen:
                insist(given.resend, f"{press} was heard twice")
            seen.add(press[:2])
            place = (self.order.index(press.task), press.digit)
            if place < latest.get(given.ch, (0, 0)):
                insist(self.came_after_the_hold(press, copy), f"{press} was heard out of order")
                self.limits[OUT_OF_ORDER] += 1
            latest[given.ch] = max(place, latest.get(given.ch, (0, 0)))
            if copy.written_at >= copy.not_after:
                insist(copy.looked_at < copy.not_after, f"{press} was sent after its deadline")
                self.limits[LATE] += 1

    def came_after_the_hold(self, press: Press, copy: Copy) -> bool:
        """The worker slept between its last look at the clock and the write, for longer than the hold."""
        digit = self.by_id[press.task].digits[press.digit - 1]
        over = (digit.ended_at or 0) + HOLD_MS
        return digit.outcome is Outcome.UNKNOWN and copy.looked_at * 1000 < over <= copy.written_at * 1000

    def nothing_is_left_out(self) -> None:
        """Nobody hears a digit behind one that was left out, but for the ends that are promised."""
        full: dict[Place, bool] = {press[:2]: True for press, _ in self.heard}
        for index, task in enumerate(self.order):
            later = self.by_id[task]
            digits = [(task, digit.index) in full for digit in later.digits]
            missed = [place for place in range(1, len(digits)) if digits[place] and not digits[place - 1]]
            for place in missed:
                presumed = later.digits[place - 1].outcome is Outcome.PRESUMED
                insist(presumed, f"{task}: digit {place} was left out, and the next one was heard")
            asked = any(place[0] == task for place in self.copies)
            gone = [e for e in self.order[:index] if self.by_id[e].error == "Gone" and self.by_id[e].ch == later.ch]
            insist(
                not asked or not gone or self.by_id[gone[0]].ended_at <= later.enqueued_at,
                f"{task} was sent after Gone",
            )
            if any(digits):
                for earlier in self.order[:index]:
                    if self.by_id[earlier].ch == later.ch:
                        self.may_follow(self.by_id[earlier], later)

    def may_follow(self, earlier: Record, later: Record) -> None:
        """Whether a digit of the later task may be heard, given how the earlier one ended."""
        pressed = any(digit.outcome is not Outcome.NOT_SENT for digit in earlier.digits)
        if earlier.state in FULL or (earlier.state is State.CANCELLED and not pressed):
            return
        acknowledged = any(asked.what == "resume" for asked in self.world.asked)
        aged = later.enqueued_at >= earlier.ended_at + LIMITS.break_
        right = self.world.given[later.id].go_on or acknowledged or aged
        insist(right, f"{later.id} was sent behind {earlier.id}, which ended as {earlier.state}")

    # Whether records are true

    def record_is_true(self, record: Record) -> None:
        outcomes = [digit.outcome for digit in record.digits]
        insist(len(outcomes) == len(self.world.given[record.id].keys), f"{record.id} has lost a digit")
        self.fits(record, outcomes)
        for digit in record.digits:
            self.outcome_is_true(record, digit.index, digit.outcome)
        match record.state:
            case State.EXPIRED:
                insist(record.ended_at >= record.deadline, f"{record.id} expired before its deadline")
            case State.CANCELLED if record.broken_by:
                breaker = self.by_id[record.broken_by]
                insist(self.order.index(breaker.id) < self.order.index(record.id), "the line was broken from behind")
                pressed = any(digit.outcome is not Outcome.NOT_SENT for digit in breaker.digits)
                insist(breaker.state in BREAKS or pressed, f"{breaker.id} broke the line as {breaker.state}")
            case State.CANCELLED:
                insist(self.was_cancelled(record), f"nobody cancelled {record.id}")

    def was_cancelled(self, record: Record) -> bool:
        return any(
            (asked.what, asked.on) in {("cancel", record.id), ("purge", record.ch)} for asked in self.world.asked
        )

    def fits(self, record: Record, outcomes: list[Outcome]) -> None:
        """The state and the outcomes say the same."""
        good = {Outcome.SENT, Outcome.PRESUMED}
        done = next((i for i, outcome in enumerate(outcomes) if outcome not in good), len(outcomes))
        rest = outcomes[done:]
        untouched = all(outcome is Outcome.NOT_SENT for outcome in rest)
        match record.state:
            case State.SENT:
                right = all(outcome is Outcome.SENT for outcome in outcomes)
            case State.PRESUMED:
                right = not rest and Outcome.PRESUMED in outcomes
            case State.CANCELLED if self.world.given[record.id].resend and rest[:1] == [Outcome.UNKNOWN]:
                right = all(outcome is Outcome.NOT_SENT for outcome in rest[1:])
            case State.FAILED | State.UNKNOWN:
                wanted = Outcome.FAILED if record.state is State.FAILED else Outcome.UNKNOWN
                right = rest[:1] == [wanted] and all(outcome is Outcome.NOT_SENT for outcome in rest[1:])
            case _:
                right = untouched and bool(rest)
        insist(right or self.world.restarted, f"{record.id} is {record.state} with {outcomes}")

    def outcome_is_true(self, record: Record, index: int, outcome: Outcome) -> None:
        place = (record.id, index)
        copies = [copy for _, copy in self.copies.get(place, [])]
        heard = any(copy.heard for copy in copies)
        codes = [copy.code for copy in copies if copy.read]
        what = f"{record.id} digit {index} is recorded as {outcome}"
        match outcome:
            case Outcome.SENT:
                insist(heard and "OK" in codes, f"{what}, and was not answered OK")
            case Outcome.PRESUMED:
                insist(USED in codes, f"{what}, and no nonce was refused")
                lost = self.disturbed or not all(copy.read for copy in copies)
                insist(lost, f"{what}, and nothing had gone wrong")
                if not heard:
                    insist(self.burnt_unseen(copies), f"{what}, and was not heard")
                    self.limits[PRESUMED] += 1
            case Outcome.FAILED:
                last = [copy for press, copy in self.copies.get(place, []) if press.nonce == self.last(place)]
                sure = all(copy.read for copy in last) and last[-1].code.startswith(FINAL) and not self.was_found(place)
                insist(sure and not heard, f"{what}, and that is not certain")
            case Outcome.NOT_SENT:
                insist(not heard, f"{what}, and was heard")
            case Outcome.UNKNOWN:
                insist(self.is_open(record, place, copies), f"{what}, and there is no doubt")

    def last(self, place: Place) -> int:
        return max((press.nonce for press in self.world.watch.marked if press[:2] == place), default=0)

    def burnt_unseen(self, copies: list[Copy]) -> bool:
        """A refusal burnt the nonce, and who read it, if anybody, could not tell whoever recorded the digit."""
        told = {copy.by for copy in copies if copy.read and copy.code == USED}
        refusals = [copy for copy in copies if not copy.heard and copy.code not in {"", "OK", USED}]
        unseen = any(not copy.read or (copy.by in self.silenced and copy.by not in told) for copy in refusals)
        return self.world.api.service.settings.burn and unseen

    def is_open(self, record: Record, place: Place, copies: list[Copy]) -> bool:
        """Nobody can say whether the digit was executed."""
        codes = [copy.code for copy in copies]
        found = self.was_found(place)
        doubt = found or not all(copy.read for copy in copies)
        if self.world.restarted or any(code.startswith("Internal") for code in codes):
            return True
        if record.ended_at >= record.deadline and (copies or found):
            return True
        if doubt and any(
            code.startswith((*FINAL, "Forbidden", "InvalidAccessKeyId", "InvalidTimeStamp")) for code in codes
        ):
            return True
        return doubt and USED in codes and any(code.startswith(REFUSALS) for code in codes)

    def was_found(self, place: Place) -> bool:
        """A run found the mark of another, or its own after a lost answer."""
        return any(press[:2] == place for press in self.world.watch.found)

    # What producers were told

    def requests_were_kept(self) -> None:
        for asked in self.world.asked:
            if asked.what == "cancel":
                self.cancel_was_kept(asked)
            elif asked.what == "purge":
                marked = asked.marks.get(asked.on)
                named = asked.answer.in_progress
                insist(named == (marked.task if marked else None), "a purge misnamed the task in progress")
        self.pause_was_kept()

    def cancel_was_kept(self, asked: Asked) -> None:
        task = asked.on
        later = [press for press, _ in self.heard[asked.heard :] if press.task == task]
        match asked.answer[0]:
            case "DONE":
                insist(not later, f"{task} was cancelled, and a digit of it was heard afterwards")
                insist(self.by_id[task].state is State.CANCELLED, f"{task} was cancelled, and is not")
            case "REQUESTED":
                mark = asked.marks.get(self.world.given[task].ch)
                insist(all(press == mark for press in later), f"{task} was to end before its next digit")
            case "RECORDED":
                insist(self.by_id[task].state == asked.answer[1], f"{task} had ended as {asked.answer[1]}")
            case _:
                insist(task not in asked.accepted, f"{task} was said to be unknown")

    def pause_was_kept(self) -> None:
        """On a paused channel no digit is heard but the one that was marked before."""
        for number, asked in enumerate(self.world.asked):
            if asked.what == "pause":
                resumed = [later.heard for later in self.world.asked[number:] if later.what == "resume"]
                heard = self.heard[asked.heard : resumed[0] if resumed else None]
                between = [press for press, _ in heard if self.world.given[press.task].ch == asked.on]
                allowed = asked.marks.get(asked.on)
                insist(all(press == allowed for press in between), "a digit was sent on a paused channel")
