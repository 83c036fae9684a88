"""What may happen at a moment, while everything stands still at its boundaries."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.enumerate.world import Asked, World
from worker.vault import channel_digest

CH = channel_digest("channel-1")


@dataclass(frozen=True)
class Do:
    """An act.

    Attributes:
        label: its name.
        act: what it does.
        own: it is a case of its own at every moment, since it is about what the actor is doing just then. Of others
            it is enough to try them wherever something has changed that the actor is not alone to know.
    """

    label: str
    act: Callable[[World], object]
    own: bool = False

    def __call__(self, world: World) -> None:
        self.act(world)


def _stop(world: World) -> None:
    assert world.current
    world.current.dead = True


def _sleep(world: World) -> None:
    assert world.current
    world.current.asleep = True
    world.sleepers.append(world.current)


def _hang(world: World) -> None:
    _sleep(world)
    world.sleepers[-1].hangs = True


def _wake(world: World) -> None:
    while world.sleepers:
        world.wake(world.sleepers.pop())


def _lose(world: World) -> None:
    assert world.current
    world.current.loses = True


def _leave(world: World) -> None:
    assert world.current
    world.current.stopping.set()


def _lose_and_leave(world: World) -> None:
    _lose(world)
    _leave(world)


def _ask(world: World, what: str, on: str, answer: Any) -> None:
    watch = world.watch
    world.asked.append(Asked(what, on, answer, len(world.api.heard), dict(watch.marks), list(watch.accepted)))


def cancel(task: str) -> Do:
    """A producer cancels a task."""
    return Do(f"cancel {task}", lambda world: _ask(world, "cancel", task, world.queue.cancel(task)))


def enqueue(task: str, **options: Any) -> Do:
    """Another producer enqueues a task."""
    return Do(f"enqueue {task}", lambda world: world.produce([(task, options)]))


def pause(ch: str) -> Do:
    """An operator pauses a channel."""
    return Do("pause", lambda world: _ask(world, "pause", ch, world.queue.pause(ch)))


def resume(ch: str) -> Do:
    """An operator ends a pause, and acknowledges a break."""

    def act(world: World) -> None:
        publish = world.queue.resume(ch)
        _ask(world, "resume", ch, publish)
        if publish:
            world.messages.append(ch)

    return Do("resume", act)


def purge(ch: str) -> Do:
    """An operator cancels all that waits on a channel."""
    return Do("purge", lambda world: _ask(world, "purge", ch, world.queue.purge(ch)))


def _pause_for_a_while(world: World) -> None:
    PAUSE(world)
    world.afterwards.append(RESUME)


def _expire(world: World) -> None:
    world.pass_time(world.now_ms + 2001)


def _restart(world: World) -> None:
    """Every connection breaks, and the server has another run_id."""
    world.restarted = True
    world.queue.ask(("SET", "harness:boot", "boot2"))
    for actor in world.actors:
        actor.loses = actor.at.endswith(("asked", "done"))


def _roll_back(world: World) -> None:
    world.restore()
    _restart(world)


STOP = Do("stop", _stop)
# While no deadline is near it does not matter whether the sleeper had looked at the clock.
SLEEP, SLEEP_ANYWHERE = Do("sleep", _sleep), Do("sleep", _sleep, own=True)
HANG = Do("hang", _hang, own=True)
WAKE = Do("wake", _wake)
LOSE = Do("lose", _lose, own=True)
LEAVE = Do("leave", _leave, own=True)
LOSE_AND_LEAVE = Do("lose, leave", _lose_and_leave, own=True)
PAUSE, RESUME, PURGE = pause(CH), resume(CH), purge(CH)
MESSAGE = Do("message", lambda world: world.run(CH))
PAUSE_A_WHILE = Do("pause for a while", _pause_for_a_while)
EXPIRE = Do("2 s pass", _expire)
SAVE = Do("the disk has this", World.save)
ROLL_BACK = Do("Redis comes back without its last writes", _roll_back)
RESTART = Do("Redis restarts", _restart, own=True)
