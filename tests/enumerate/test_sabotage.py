"""A harness that cannot fail is worth nothing: without any one of the safeguards, a promise is broken.

Each safeguard is taken out of the scripts' text, or of the run, alone. That nothing is broken with it in place,
test_every_stop.py says.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import pytest
from redis import Redis

from tests.enumerate import acts as do
from tests.enumerate.acts import Do
from tests.enumerate.cases import Play
from tests.enumerate.scenes import Scene
from tests.enumerate.world import world_of
from worker.attempt import Attempt, Fate
from worker.ccc import NotExecuted, ReplayRefused
from worker.channel.queue import ChannelQueue
from worker.channel.steps import Verdict


@dataclass(frozen=True)
class Cut:
    """A safeguard and where its absence shows.

    Attributes:
        safeguard: what it is.
        old: its text in the scripts.
        new: what stands in its place.
        acts: what must happen at every moment.
        scene: in which scene.
    """

    safeguard: str
    old: str
    new: str
    acts: tuple[Do, ...]
    scene: Scene


CUTS = [
    Cut(
        "a mark that claim finds is in doubt",
        "return send_answer(ch, env, channel.task, true)",
        "return send_answer(ch, env, channel.task, false)",
        (do.STOP,),
        Scene((2,), "throttled", 2),
    ),
    Cut(
        "settle asks for the run's token",
        "if channel.token ~= token or channel.boot",
        "if channel.boot",
        (do.SLEEP, do.WAKE),
        Scene((2,), "throttled", 2),
    ),
    Cut(
        "settle asks for the mark",
        "or channel.task ~= mark.task\n  or tonumber(channel.digit) ~= mark.digit "
        "or tonumber(channel.attempt) ~= mark.attempt then",
        "then",
        (do.LOSE,),
        Scene((1, 1)),
    ),
    Cut(
        "a refused digit keeps its nonce until that is used up",
        "if refused and redis.call('SISMEMBER', BURNS, refused) == 1 then",
        "if refused then",
        (do.STOP,),
        Scene((1,), "throttled", 1, burns=False),
    ),
    Cut(
        "a refusal is told to the next attempt",
        "if refused then redis.call('HSET', key, 'throttled', 1) end",
        "",
        (do.LOSE,),
        Scene((1,), "throttled", 1),
    ),
    Cut(
        "a key that was to be pressed again may have been pressed",
        "digits[i].outcome = task.unsure and 'unknown' or open",
        "digits[i].outcome = open",
        (do.cancel("t1"),),
        Scene((1,), "internal, executed", 1, resend=True),
    ),
    Cut(
        "and what waits behind it is not sent",
        "if task.unsure then pressed = pressed + 1 end",
        "",
        (do.cancel("t1"),),
        Scene((1, 1), "internal, executed", 1, resend=True),
    ),
    Cut(
        "the channel is held after a digit of unknown fate",
        "'hold_until', env.now + verdict.pause",
        "'hold_until', env.now",
        (do.STOP,),
        Scene((1, 1), "silent", 1, go_on=True),
    ),
    Cut(
        "a broken line cancels what waits",
        "break_line(env, ch, mark.task, verdict.code or error, verdict.gone)",
        "",
        (do.STOP,),
        Scene((1, 1), "rejected", 1),
    ),
    Cut(
        "a broken channel refuses new tasks",
        "if breaker and task.go_on ~= '1' then",
        "if false then",
        (do.enqueue("x1", dtmf="*"),),
        Scene((1,), "rejected", 1),
    ),
    Cut(
        "after Gone nothing goes on",
        "if gone or redis.call('HGET'",
        "if redis.call('HGET'",
        (do.STOP,),
        Scene((1, 1), "gone", 1, go_on=True),
    ),
    Cut(
        "cancel only flags a task whose digit is on its way",
        "if channel.task == id then\n  redis.call('HSET', task_key(id), 'cancel', 1)\n  return { 'REQUESTED' }",
        "if false then",
        (do.cancel("t1"),),
        Scene((2,)),
    ),
    Cut(
        "a task cancelled in part breaks the line",
        "if pressed > 0 then break_line(env, ch, id, 'TaskCancelled', false) end",
        "",
        (do.cancel("t1"),),
        Scene((2, 1)),
    ),
    Cut("purge spares the digit on its way", "if id == marked then", "if false then", (do.PURGE,), Scene((2,))),
    Cut("a paused channel sends nothing", "if channel.paused then", "if false then", (do.PAUSE,), Scene((2,))),
    Cut(
        "a channel that waits is due",
        "redis.call('ZADD', DUE, 'NX', env.now + 1000, ch)",
        "",
        (do.STOP,),
        Scene((1,)),
    ),
    Cut(
        "a task past its deadline is not marked",
        "elseif tonumber(task[2]) <= env.now then",
        "elseif false then",
        (do.EXPIRE,),
        Scene((2,), short=True),
    ),
    Cut(
        "one run a channel",
        "if has_live_run(channel, env) and channel.token ~= token then return { 'BUSY' } end",
        "",
        (do.MESSAGE,),
        Scene((2,)),
    ),
    Cut(
        "a task leaves its queue when it is recorded",
        "local function take_off_queue(ch, id)\n",
        "local function take_off_queue(ch, id)\n  if true then return end\n",
        (do.STOP,),
        Scene((1,)),
    ),
    Cut(
        "an outcome is not told of the next digit",
        "redis.call('HDEL', task, 'tried', 'next_attempt', 'nonce', 'refused', 'unsure')",
        "",
        (do.STOP,),
        Scene((2,), "throttled", 1),
    ),
    Cut(
        "an idle channel is forgotten",
        "redis.call('PEXPIRE', key, keep - env.now)",
        "",
        (do.STOP,),
        Scene((1,)),
    ),
    Cut(
        "a run lets go before it publishes",
        "drop_token(ch)\nredis.call('ZADD', DUE, now +",
        "redis.call('ZADD', DUE, now +",
        (do.LEAVE,),
        Scene((2,)),
    ),
    Cut(
        "an idle channel has no token",
        "drop_token(ch)\n  redis.call('ZREM', DUE, ch)",
        "redis.call('ZREM', DUE, ch)",
        (do.enqueue("x1", dtmf="*"),),
        Scene((1,)),
    ),
    Cut(
        "a refusal is told to the successor",
        "redis.call('HSET', key, 'throttled', 1)",
        "",
        (do.LOSE, do.LEAVE),
        Scene((1,), "throttled", 1),
    ),
    Cut(
        "expired, by the server's clock alone",
        "-- What is left: expired",
        "if verdict.is == 'expired' then end_and_break('expired') end --",
        (do.SLEEP, do.WAKE),
        Scene((1,), "expired", 1),
    ),
]


@contextmanager
def sabotaged(client: Redis, old: str, new: str) -> Iterator[Play]:
    """A world whose scripts have this instead of that."""
    changed = []

    def alter(name: str, text: str) -> str:
        if old and old in text:
            changed.append(name)
            return text.replace(old, new)
        return text

    logging.disable(logging.CRITICAL)
    with world_of(client, alter) as world:
        assert changed or not old, "the safeguard's text was not found in any script"
        yield Play(world)
    logging.disable(logging.NOTSET)


def play(found: Play, acts: tuple[Do, ...], scene: Scene) -> int:
    """How many cases broke a promise."""
    if len(acts) == 1:
        found.one_act(scene, acts[0])
    else:
        found.two_acts(scene, acts[0], acts[1])
    return found.tally.broken


@pytest.mark.parametrize("cut", CUTS, ids=lambda cut: cut.safeguard)
def test_without_it_a_promise_is_broken(redis_client: Redis, cut: Cut) -> None:
    with sabotaged(redis_client, cut.old, cut.new) as found:
        assert play(found, cut.acts, cut.scene), f"nobody misses it: {cut.safeguard}"


def _retries(self: Attempt, result: Any) -> Fate | None:
    """V1: a new nonce although an earlier copy may exist."""
    return self._retry(result) if isinstance(result, NotExecuted) else JUDGE(self, result)


def _final(self: Attempt, result: Any) -> Fate | None:
    """V6: an error to a resend taken for the digit's."""
    fate = JUDGE(self, result)
    unknown = fate and fate.verdict is Verdict.UNKNOWN
    return replace(fate, verdict=Verdict.FAILED) if fate and unknown else fate


def _sure(self: Attempt, result: Any) -> Fate | None:
    """V7: a refused nonce taken for a heard digit although a copy was throttled."""
    self.throttled = False
    return JUDGE(self, result)


def _renews(self: Attempt, error: ReplayRefused) -> Fate:
    """A new nonce although a copy under the old one may have been executed."""
    return Fate(Verdict.RETRY, nonce_used=True, error=error) if self.throttled else NONCE_USED(self, error)


def _gives_up(self: Attempt, error: ReplayRefused) -> Fate:
    """No new nonce although every copy under the old one was refused."""
    return Fate(Verdict.UNKNOWN, error=error) if self.throttled else NONCE_USED(self, error)


def _blind(_: Attempt) -> Fate:
    """V5: a digit without an answer taken for one that was not sent."""
    return Fate(Verdict.EXPIRED)


def _hasty(_: Attempt) -> Fate:
    """V3: no hold."""
    return Fate(Verdict.UNKNOWN, may_arrive=False)


JUDGE, NONCE_USED, RELEASE = Attempt.judge, Attempt._nonce_used, ChannelQueue.release


def _forgets(self: ChannelQueue, ch: str, token: str, **facts: Any) -> Any:
    """A run that lets go drops its mark although a copy was written."""
    return RELEASE(self, ch, token, **{**facts, "unsent": True})


FLAWS = {
    "V1 a new nonce in doubt": (Attempt, "judge", _retries, (do.STOP,), Scene((2,), "throttled", 2)),
    "a new nonce in doubt, after a refusal": (
        Attempt,
        "_nonce_used",
        _renews,
        (do.LOSE,),
        Scene((1,), "throttled", 1, burns=False),
    ),
    "unknown without doubt": (Attempt, "_nonce_used", _gives_up, (do.STOP,), Scene((1,), "throttled", 1)),
    "V3 no hold": (Attempt, "out_of_time", _hasty, (do.STOP,), Scene((1, 1), "silent", 1, go_on=True)),
    "V5 expired in doubt": (Attempt, "out_of_time", _blind, (do.SLEEP, do.EXPIRE), Scene((1,), short=True)),
    "V6 failed in doubt": (Attempt, "judge", _final, (do.STOP,), Scene((2,), "gone", 2, burns=False)),
    "release keeps no mark": (
        ChannelQueue,
        "release",
        _forgets,
        (do.LOSE_AND_LEAVE,),
        Scene((2,), "throttled", 2),
    ),
}


@pytest.mark.parametrize("flaw", FLAWS)
def test_with_it_a_promise_is_broken(redis_client: Redis, flaw: str) -> None:
    owner, name, bad, acts, scene = FLAWS[flaw]
    with patch.object(owner, name, bad), sabotaged(redis_client, "", "") as found:
        assert play(found, acts, scene), f"nobody notices: {flaw}"
