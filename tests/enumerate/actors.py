"""The actors of a world, and what they are given in the place of Redis, of the clock and of the event to stop."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

from greenlet import greenlet
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from worker.channel.queue import ChannelQueue, Limits
from worker.channel.scripts import script_text
from worker.fleet.heartbeat import Heartbeat

if TYPE_CHECKING:
    from tests.enumerate.world import World

LUA = Path(__file__).parent / "lua"
BEAT_MS = 300
LIMITS = Limits()


def timed(name: str) -> str:
    """A script of the worker's, on the harness's clock."""
    shebang, body = script_text(name).split("\n", 1)
    return f"{shebang}\n{(LUA / 'clock.lua').read_text(encoding='utf-8')}\n{body}"


class TimedQueue(ChannelQueue):
    """The channel queues, on the harness's clock; watched."""

    def __init__(self, client: Redis, world: "World") -> None:
        super().__init__(client, LIMITS, worker="worker-1")
        self._digests = {name: client.script_load(world.alter(name, timed(name))) for name in self._run}
        self._connection: Any = client.connection_pool.get_connection()
        self._world = world

    def _call(self, name: str, *args: Any) -> list[Any]:
        """The call, and in the same round trip a look at what it did."""
        answer, seen = self.ask(("EVALSHA", self._digests[name], 0, *args), self._world.watch.look())
        self._world.watch.after(name, json.loads(seen), busy=answer == ["BUSY"])
        return cast(list[Any], answer)

    def ask(self, *commands: tuple[str | int, ...]) -> list[Any]:
        """Commands in one round trip, behind what the server must be told first."""
        calls = [*self._world.first_calls(), *commands]
        self._connection.send_packed_command(self._connection.pack_commands(calls))
        answers = [self._read() for _ in calls]
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers[-len(commands) :]

    def _read(self) -> Any:
        try:
            return self._connection.read_response()
        except ResponseError as error:
            return error


class StagedQueue(TimedQueue):
    """The same, with a boundary before and after each call."""

    def _call(self, name: str, *args: Any) -> list[Any]:
        if self._world.at(f"{name} asked"):
            raise RedisConnectionError("lost on the way to the server")
        answer = super()._call(name, *args)
        self._world._change()
        if self._world.at(f"{name} done"):
            raise RedisConnectionError("lost on the way back")
        return answer


class Stopping:
    """The event "the worker was told to stop", on the harness's clock."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float) -> bool:
        if not self._set:
            self._world.sleep(seconds)
        return self._set


class Actor:
    """A run, a producer or a sweep.

    Attributes:
        name: for traces.
        until: it waits for this time (ms).
        at: the boundary at which it stands.
        asleep: it stands still until it is woken; its heartbeat, too.
        dead: it will never go on.
        hangs: its thread stands still, and its process beats on.
        loses: what it has on its way at this boundary is lost.
    """

    def __init__(self, world: "World", name: str, play: Callable[["Actor"], None]) -> None:
        self.name = name
        self.until = 0
        self.at = ""
        self.asleep = self.hangs = self.dead = self.loses = False
        self.stopping = Stopping(world)
        self.heartbeat = Heartbeat(world.queue, BEAT_MS / 1000)
        self.greenlet = greenlet(lambda: play(self))

    @property
    def kind(self) -> str:
        """Its name without its number."""
        return self.name.rstrip("0123456789")

    def frames(self) -> Iterator[FrameType]:
        """The functions of the worker's, and its play, in which it stands still; the innermost first."""
        frame = self.greenlet.gr_frame
        while frame:
            if "/worker/" in frame.f_code.co_filename or frame.f_code.co_name in {"play", "_call"}:
                yield frame
            frame = frame.f_back

    @property
    def over(self) -> bool:
        return self.dead or self.greenlet.dead

    @property
    def beats(self) -> bool:
        """Its process gives signs of life."""
        return self.hangs or not (self.over or self.asleep)


class OwnTime:
    """The module `time` as the worker sees it."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.monotonic = self.time = world.seconds
        self.sleep = world.sleep

    def clock_gettime(self, _: int) -> float:
        return self._world.seconds()
