"""The fleet's rate: digits stand in one line, which moves as fast as a setting and the API allow."""

import pytest
from redis import Redis

from tests.channel.desk import Desk, place, sent_on, waited
from worker.channel.steps import Left, Send, Step, Verdict


def limited(redis_client: Redis, rate: float, step_wait: int = 100_000) -> Desk:
    return Desk(redis_client, rate_per_second=rate, step_wait=step_wait)


def pace(desk: Desk) -> dict[str, float]:
    return {name: float(value) for name, value in desk.redis.hgetall("dtmf:pace").items()}


def turn_comes(desk: Desk, ch: str) -> None:
    """The line has come to this channel's ticket."""
    ticket = desk.channel(ch)["slot"].partition(":")[2]
    desk.redis.hset("dtmf:pace", mapping={"done": ticket, "at": desk.now()})


def test_the_fleet_sends_no_faster_than_its_rate(redis_client: Redis) -> None:
    """Four channels, a digit every ten seconds: the first goes at once, each of the others ten seconds later."""
    desk = limited(redis_client, 0.1)
    for ch in "abcd":
        desk.enqueue(f"t-{ch}", ch=ch)
    first = desk.now()
    assert place(desk.claim("r-a", ch="a")) == ("t-a", 1, 1)
    waits = [waited(desk.claim(f"r-{ch}", ch=ch)) + desk.now() - first for ch in "bcd"]
    assert waits == pytest.approx([10_000, 20_000, 30_000], abs=500)


def test_a_channel_keeps_its_place_in_the_line_of_the_rate_limit(redis_client: Redis) -> None:
    desk = limited(redis_client, 0.1)
    for ch in "abc":
        desk.enqueue(f"t-{ch}", ch=ch, n=2)
    desk.claim("r-a", ch="a")
    desk.claim("r-b", ch="b")
    slot = desk.channel("b")["slot"]
    desk.claim("r-c", ch="c")
    desk.claim("r-b", ch="b")
    assert desk.channel("b")["slot"] == slot


def test_a_long_line_at_the_rate_limit_holds_no_slot(redis_client: Redis) -> None:
    desk = limited(redis_client, 0.1, step_wait=1000)
    for ch in "ab":
        desk.enqueue(f"t-{ch}", ch=ch)
    desk.claim("r-a", ch="a")
    assert desk.claim("r-b", ch="b") is Left.LATER
    due = desk.due("b")
    assert due is not None
    assert due > desk.now() + 5000
    turn_comes(desk, "b")
    assert place(desk.claim("r-b2", ch="b")) == ("t-b", 1, 1)


def test_a_turn_that_nobody_came_for_is_not_kept(redis_client: Redis) -> None:
    """Else many channels that were paused together, each with a turn of long ago, would go off at once."""
    desk = limited(redis_client, 0.1, step_wait=1000)
    for ch in "ab":
        desk.enqueue(f"t-{ch}", ch=ch)
    desk.claim("r-a", ch="a")
    assert desk.claim("r-b", ch="b") is Left.LATER
    redis_client.hset("dtmf:pace", mapping={"done": 100, "next": 100, "at": desk.now() + 60_000})
    assert desk.claim("r-b2", ch="b") is Left.LATER


def test_a_digit_takes_its_place_in_the_line_only_once(redis_client: Redis) -> None:
    desk = limited(redis_client, 0.1)
    desk.enqueue("t1", n=2)
    step = desk.claim("r1")
    assert "slot" not in desk.channel()
    assert waited(desk.settle("r1", step, Verdict.OK)) > 0


def test_a_task_that_cannot_have_its_turn_in_time_takes_none_from_others(redis_client: Redis) -> None:
    desk = limited(redis_client, 0.1, step_wait=1000)
    for ch in "abc":
        desk.enqueue(f"t-{ch}", ch=ch, expires_in=60_000 if ch != "b" else 5000)
    desk.claim("r-a", ch="a")
    line = pace(desk)
    assert desk.claim("r-b", ch="b") is Left.LATER
    assert pace(desk) == line
    assert "slot" not in desk.channel("b")
    due = desk.due("b")
    assert due is not None
    assert due <= int(desk.task("t-b")["deadline"])


def test_without_a_rate_limit_nothing_is_kept_of_it(desk: Desk) -> None:
    desk.enqueue("t1")
    desk.claim("r1")
    assert not desk.redis.exists("dtmf:pace")


def marked(desk: Desk, ch: str) -> Step:
    """A digit of another channel, when its turn has come."""
    desk.enqueue(f"t-{ch}", ch=ch)
    step = desk.claim(f"r-{ch}", ch=ch)
    if isinstance(step, Send):
        return step
    turn_comes(desk, ch)
    return sent_on(desk.claim(f"r-{ch}", ch=ch))


def throttle(desk: Desk, token: str, step: Step, *, ch: str, asked: int = 0) -> Step:
    return desk.settle(token, step, Verdict.RETRY, ch=ch, code="Throttling.User", throttled=asked)


def busy(desk: Desk, digits: int) -> Step:
    """So many digits were accepted in this moment, and the next one is marked."""
    desk.enqueue("t-a", ch="a", n=50)
    step = desk.claim("r-a", ch="a")
    for _ in range(digits):
        step = desk.settle("r-a", step, Verdict.OK, ch="a")
    return step


def test_a_throttled_fleet_slows_down_together(desk: Desk) -> None:
    throttle(desk, "r-a", busy(desk, 40), ch="a")
    assert 9 <= pace(desk)["rate"] < 45
    for ch in "bcd":
        desk.enqueue(f"t-{ch}", ch=ch)
    steps = [desk.claim(f"r-{ch}", ch=ch) for ch in "bcd"]
    assert all(waited(step) > 0 for step in steps[1:])


def test_one_wave_of_throttled_answers_slows_it_down_once(desk: Desk) -> None:
    """All of them were sent before anybody knew."""
    marked = []
    for ch in "bcde":
        desk.enqueue(f"t-{ch}", ch=ch)
        marked.append((ch, desk.claim(f"r-{ch}", ch=ch)))
    throttle(desk, "r-a", busy(desk, 30), ch="a")
    rate = pace(desk)["rate"]
    desk.redis.hset("dtmf:pace", "cut_at", desk.now() + 1)
    for ch, step in marked:
        throttle(desk, f"r-{ch}", step, ch=ch)
    assert pace(desk)["rate"] == rate


def test_throttled_at_the_present_rate_it_slows_down_more(desk: Desk) -> None:
    throttle(desk, "r-a", busy(desk, 30), ch="a")
    rate = pace(desk)["rate"]
    desk.redis.hset("dtmf:pace", "cut_at", desk.now() - 2000)
    throttle(desk, "r-b", marked(desk, "b"), ch="b")
    assert rate / 2 < pace(desk)["rate"] < rate


def test_accepted_digits_let_it_recover(desk: Desk) -> None:
    throttle(desk, "r-a", busy(desk, 30), ch="a")
    rate = pace(desk)["rate"]
    step = marked(desk, "b")
    desk.redis.hset("dtmf:pace", "grown_at", desk.now() - 1000)
    desk.settle("r-b", step, Verdict.OK, ch="b")
    assert rate * 1.2 < pace(desk)["rate"] <= rate * 1.5


def test_near_the_rate_that_was_throttled_it_grows_slowly(desk: Desk) -> None:
    throttle(desk, "r-a", busy(desk, 30), ch="a")
    top = pace(desk)["top"]
    step = marked(desk, "b")
    desk.redis.hset("dtmf:pace", mapping={"grown_at": desk.now() - 1000, "found": top})
    desk.settle("r-b", step, Verdict.OK, ch="b")
    assert top < pace(desk)["rate"] <= top * 1.03


def test_what_the_api_took_is_forgotten_after_a_while_without_throttling(desk: Desk) -> None:
    throttle(desk, "r-a", busy(desk, 30), ch="a")
    desk.redis.hset("dtmf:pace", "throttled_at", desk.now() - 20_000)
    for ch in "bcd":
        desk.enqueue(f"t-{ch}", ch=ch)
        sent_on(desk.claim(f"r-{ch}", ch=ch))


def test_a_set_limit_stays_the_limit(redis_client: Redis) -> None:
    desk = limited(redis_client, 0.5)
    throttle(desk, "r-a", busy(desk, 0), ch="a")
    assert pace(desk)["rate"] == 0.5


def test_the_whole_fleet_pauses_as_the_api_asks(desk: Desk) -> None:
    throttle(desk, "r-a", busy(desk, 30), ch="a", asked=800)
    desk.enqueue("t-b", ch="b")
    assert 600 < waited(desk.claim("r-b", ch="b")) < 900


def test_one_answer_cannot_stop_the_fleet_for_long(desk: Desk) -> None:
    throttle(desk, "r-a", busy(desk, 30), ch="a", asked=60_000)
    assert pace(desk)["at"] <= desk.now() + 2000


def test_tickets_of_a_line_that_is_no_more_count_for_nothing(redis_client: Redis) -> None:
    """Else a channel would wait for a number that the new line comes to in an hour."""
    desk = limited(redis_client, 10)
    desk.enqueue("t-a", ch="a")
    desk.redis.hset("dtmf:ch:a", "slot", "1:99999")
    sent_on(desk.claim("r-a", ch="a"))


def test_a_line_that_slows_down_slows_down_those_who_stand_in_it(redis_client: Redis) -> None:
    desk = limited(redis_client, 10)
    for ch in "abc":
        desk.enqueue(f"t-{ch}", ch=ch)
        desk.claim(f"r-{ch}", ch=ch)
    slow = Desk(redis_client, rate_per_second=1, step_wait=100_000)
    assert 1000 < waited(slow.claim("r-c", ch="c")) <= 2000
