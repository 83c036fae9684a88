"""What the answers to the copies of one attempt mean: each row of the run in docs/protocol.md."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.attempt import LONGEST_PAUSE_S, Attempt, Fate, back_off
from worker.ccc import (
    Answer,
    ApiError,
    Gone,
    NotExecuted,
    Refused,
    Rejected,
    ReplayRefused,
    Unanswered,
    Undetermined,
    parse_answer,
)
from worker.channel.steps import Verdict

OK = parse_answer(200, "application/json", b'{"Code": "OK", "RequestId": "req-1"}')
LOST = Unanswered("no answer")
UNSENT = Unanswered("no connection", written=False)
THROTTLED = NotExecuted("throttled", code="Throttling.User", http_status=429)
INTERNAL = Undetermined("internal error", code="InternalError", http_status=500)
USED = ReplayRefused("nonce used", code="SignatureNonceUsed", http_status=400)
FINAL: list[ApiError] = [Gone("gone"), Rejected("rejected")]
REFUSED = Refused("refused", "Forbidden.RAM")
EVERYTHING: list[Answer | ApiError] = [OK, LOST, UNSENT, THROTTLED, INTERNAL, USED, *FINAL]


def first(*, doubt: bool = False, throttled: bool = False, resend: bool = False, number: int = 1) -> Attempt:
    """An attempt of which this run has sent nothing yet."""
    return Attempt(number, doubt, throttled, resend)


def hear(attempt: Attempt, *answers: Answer | ApiError) -> Fate | None:
    """The copies and their answers, one after the other, as the run sends them."""
    fate = None
    for answer in answers:
        assert fate is None, "the run would have sent no further copy"
        attempt.copies += 1
        fate = attempt.judge(answer)
    return fate


def settled(attempt: Attempt, *answers: Answer | ApiError) -> tuple[Verdict, bool]:
    """The verdict, and whether the channel must be held."""
    fate = hear(attempt, *answers)
    assert fate
    return fate.verdict, fate.may_arrive


@pytest.mark.parametrize("doubt", [False, True])
def test_an_answer_settles_the_digit(doubt: bool) -> None:
    fate = hear(first(doubt=doubt), OK)
    assert fate == Fate(Verdict.OK, answer=OK)


def test_without_an_answer_the_same_copy_is_sent_again() -> None:
    attempt = first()
    assert hear(attempt, LOST, LOST, LOST) is None
    assert attempt.doubt
    assert 0 < attempt.pause_s <= LONGEST_PAUSE_S


def test_an_answer_to_a_resend_is_as_good_as_the_first() -> None:
    assert settled(first(), LOST, OK) == (Verdict.OK, False)


def test_a_refused_nonce_says_that_an_earlier_copy_was_taken() -> None:
    assert settled(first(), LOST, USED) == (Verdict.PRESUMED, False)


def test_a_found_mark_whose_nonce_is_refused_was_taken() -> None:
    assert settled(first(doubt=True), USED) == (Verdict.PRESUMED, False)


def test_a_throttled_digit_is_tried_anew_if_it_was_the_only_copy() -> None:
    fate = hear(first(), THROTTLED)
    assert fate
    assert (fate.verdict, fate.may_arrive) == (Verdict.RETRY, False)
    assert 0 < fate.retry_s <= LONGEST_PAUSE_S


@pytest.mark.parametrize("attempt", [first(doubt=True), first()], ids=["found mark", "unanswered copy"])
def test_v1_no_new_nonce_while_an_earlier_copy_may_exist(attempt: Attempt) -> None:
    """V1: executed, answer lost; the resend is throttled. A new nonce would press the key twice."""
    if not attempt.doubt:
        hear(attempt, LOST)
    assert hear(attempt, THROTTLED) is None
    assert attempt.throttled
    assert attempt.pause_s > 0


def test_v1_throttled_then_nonce_used_is_unknown() -> None:
    """Either copy may have used the nonce up: the one that was executed, or the one that was refused."""
    assert settled(first(), LOST, THROTTLED, USED)[0] is Verdict.UNKNOWN
    assert settled(first(doubt=True), THROTTLED, USED)[0] is Verdict.UNKNOWN
    assert settled(first(doubt=True, throttled=True), USED)[0] is Verdict.UNKNOWN


def test_throttled_then_answered_is_sent() -> None:
    assert settled(first(), LOST, THROTTLED, OK) == (Verdict.OK, False)


def test_v5_an_unanswered_digit_at_the_deadline_is_unknown_and_holds_the_channel() -> None:
    attempt = first()
    hear(attempt, LOST)
    assert attempt.out_of_time() == Fate(Verdict.UNKNOWN, may_arrive=True)
    assert first(doubt=True).out_of_time() == Fate(Verdict.UNKNOWN, may_arrive=True)


def test_a_digit_that_was_surely_never_written_expires() -> None:
    attempt = first()
    hear(attempt, UNSENT, UNSENT)
    assert attempt.out_of_time() == Fate(Verdict.EXPIRED)
    assert first().out_of_time() == Fate(Verdict.EXPIRED)


@pytest.mark.parametrize("error", FINAL)
def test_a_final_error_to_the_only_copy_fails_the_task(error: ApiError) -> None:
    fate = hear(first(), error)
    assert fate == Fate(Verdict.FAILED, error=error)
    assert hear(first(), UNSENT, error) == fate


@pytest.mark.parametrize("error", FINAL)
def test_v6_a_final_error_to_a_resend_settles_only_that_copy(error: ApiError) -> None:
    """V6: executed, answer lost; the resend is refused, perhaps for expired credentials. Not "failed"."""
    assert settled(first(), LOST, error) == (Verdict.UNKNOWN, True)
    assert settled(first(doubt=True), error) == (Verdict.UNKNOWN, True)


def test_only_a_call_that_is_gone_takes_everything_with_it() -> None:
    for attempt, answers in ((first(), []), (first(), [LOST])):
        fate = hear(attempt, *answers, Gone("gone"))
        assert fate
        assert fate.gone
    for other in (Rejected("rejected"), Refused("refused"), INTERNAL):
        fate = hear(first(), other)
        assert fate
        assert not fate.gone


def test_an_internal_error_stops_unless_the_task_wants_the_key_pressed_again() -> None:
    assert settled(first(), INTERNAL) == (Verdict.UNKNOWN, False)
    assert settled(first(resend=True), INTERNAL) == (Verdict.RETRY, False)


def test_an_internal_error_to_a_resend_stops_in_any_case() -> None:
    for resend in (False, True):
        assert settled(first(resend=resend), LOST, INTERNAL) == (Verdict.UNKNOWN, True)
        assert settled(first(resend=resend, doubt=True), INTERNAL) == (Verdict.UNKNOWN, True)


def test_a_copy_that_was_surely_never_written_raises_no_doubt() -> None:
    attempt = first()
    assert hear(attempt, UNSENT) is None
    assert not attempt.doubt
    assert settled(attempt, THROTTLED) == (Verdict.RETRY, False)


def test_the_pause_the_api_asks_for_is_kept() -> None:
    asked = NotExecuted("throttled", retry_after_ms=30_000)
    fate = hear(first(), asked)
    assert fate
    assert fate.retry_s == 30
    attempt = first(doubt=True)
    hear(attempt, asked)
    assert attempt.pause_s == 30


def test_pauses_grow_and_have_an_end() -> None:
    spans = [
        (min(back_off(tries) for _ in range(50)), max(back_off(tries) for _ in range(50))) for tries in range(1, 40)
    ]
    assert all(low > 0 and high <= LONGEST_PAUSE_S for low, high in spans)
    assert spans[0][1] <= 0.2
    assert spans[-1][0] >= LONGEST_PAUSE_S / 2
    assert len({back_off(3) for _ in range(10)}) > 1, "workers would all come back at the same moment"


# Any sequence of answers, on an attempt in any condition.

ATTEMPTS = st.builds(
    lambda number, doubt, throttled, resend: Attempt(number, doubt, doubt and throttled, resend),
    st.integers(1, 20),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
ANSWERS = st.lists(st.sampled_from(EVERYTHING), max_size=8)


@dataclass
class Story:
    """What happened to an attempt until it was settled, or its deadline passed."""

    fate: Fate
    heard: list[Answer | ApiError]
    found: bool
    found_throttled: bool

    @property
    def last(self) -> Answer | ApiError | None:
        return self.heard[-1] if self.heard else None

    @property
    def written(self) -> list[Answer | ApiError]:
        """Answers to copies of which at least a byte was sent."""
        return [answer for answer in self.heard if answer is not UNSENT]

    @property
    def copy_without_answer(self) -> bool:
        return self.found or LOST in self.heard


def play(attempt: Attempt, answers: list[Answer | ApiError]) -> Story:
    found, found_throttled = attempt.doubt, attempt.throttled
    for count, answer in enumerate(answers, start=1):
        attempt.copies += 1
        fate = attempt.judge(answer)
        if fate:
            return Story(fate, answers[:count], found, found_throttled)
    return Story(attempt.out_of_time(), answers, found, found_throttled)


@given(ATTEMPTS, ANSWERS)
def test_a_new_nonce_only_after_a_sole_copy_that_was_answered(
    attempt: Attempt, answers: list[Answer | ApiError]
) -> None:
    story = play(attempt, answers)
    if story.fate.verdict is Verdict.RETRY:
        assert not story.found
        assert story.written == [story.last]
        assert story.last is THROTTLED or (story.last is INTERNAL and attempt.resend)
        assert story.fate.retry_s > 0


@given(ATTEMPTS, ANSWERS)
def test_no_verdict_says_more_than_the_answers_do(attempt: Attempt, answers: list[Answer | ApiError]) -> None:
    story = play(attempt, answers)
    match story.fate.verdict:
        case Verdict.OK:
            assert story.last is OK
        case Verdict.PRESUMED:
            assert story.last is USED
            assert not story.found_throttled
            assert THROTTLED not in story.heard
        case Verdict.FAILED:
            assert story.written == [story.last]
            assert story.last in FINAL
            assert not story.found
        case Verdict.EXPIRED:
            assert story.written == []
            assert not story.found
        case Verdict.UNKNOWN:
            assert story.copy_without_answer or story.last is INTERNAL


@given(ATTEMPTS, ANSWERS)
def test_the_channel_is_held_if_and_only_if_a_copy_may_still_be_executed(
    attempt: Attempt, answers: list[Answer | ApiError]
) -> None:
    story = play(attempt, answers)
    closed = story.last in (OK, USED)
    assert story.fate.may_arrive is (story.copy_without_answer and not closed)


@given(ATTEMPTS, ANSWERS)
def test_an_unsettled_attempt_has_only_answers_that_leave_it_open(
    attempt: Attempt, answers: list[Answer | ApiError]
) -> None:
    for answer in answers:
        attempt.copies += 1
        if attempt.judge(answer):
            break
        assert answer in (LOST, UNSENT, THROTTLED)
        assert attempt.pause_s > 0
