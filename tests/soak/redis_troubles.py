"""Redis stands still, loses its connections, has no memory left, takes no writes: the fleet works again after each."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.fleet.harness import Ground, until
from tests.soak.load import Load
from tests.soak.outage import WORKERS, see_producers, see_workers, wait_for_server, works_again
from tests.soak.result import Result
from worker.local.redis import free_port
from worker.record import State

NAME = "Redis in trouble"
SETTINGS: dict[str, object] = {"DTMF_CONCURRENCY": 24, "fsync": "everysec"}
Trouble = Callable[[Ground, float], None]


def stand_still(ground: Ground, seconds: float) -> None:
    """SIGSTOP."""
    server = int(ground.client.info("server")["process_id"])
    os.kill(server, signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        os.kill(server, signal.SIGCONT)


def cut_connections(ground: Ground, seconds: float) -> None:
    """CLIENT KILL of everybody, again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for kind in ("normal", "pubsub"):
            ground.client.client_kill_filter(_type=kind, skipme=True)
        time.sleep(0.5)


@contextmanager
def no_memory(ground: Ground) -> Iterator[None]:
    """Set maxmemory to what is used already."""
    ground.client.config_set("maxmemory", 1)
    try:
        yield
    finally:
        ground.client.config_set("maxmemory", 0)


def turn_read_only(ground: Ground, seconds: float) -> None:
    """Make it a replica of nobody."""
    ground.client.replicaof("127.0.0.1", str(free_port()))
    try:
        time.sleep(seconds)
    finally:
        ground.client.replicaof("NO", "ONE")


TROUBLES: dict[str, Trouble] = {
    "frozen": stand_still,
    "connections cut": cut_connections,
    "read-only": turn_read_only,
}


def play(ground: Ground, seconds: float) -> Result:
    """Each trouble for up to 10 s, one after another, and again while there is time."""
    result = Result()
    ground.start(*WORKERS)
    longest: dict[str, float] = {}
    outage = max(2.0, min(10.0, seconds / 8))
    with Load(ground) as load:
        load.scene.rule(*load.lines, answer_after=[0.05, 0.25])
        until(lambda: load.heard() > len(load.lines), "digits heard")
        end = time.monotonic() + seconds
        while not longest or time.monotonic() < end:
            for name, trouble in TROUBLES.items():
                trouble(ground, outage)
                again = works_again(load, wait_for_server(ground))
                longest[name] = max(longest.get(name, 0.0), again)
            drained = fill_memory(ground)
            result.must(drained, "with its memory full, what waited was not sent")
            longest["memory full"] = max(longest.get("memory full", 0.0), works_again(load, time.time()))
    result.take(load.verdict())
    result.see("outage", outage, "s")
    for name, seconds_after in longest.items():
        result.see(f"{name}: until every channel hears digits again", seconds_after, "s", at_most=10)
    see_producers(result, load)
    result.must(load.refused, "a server without memory took every task: the scenario shows nothing")
    states = load.scene.states() - {State.SENT, State.PRESUMED}
    result.must(not states, f"tasks ended as {sorted(states)}")
    see_workers(result, ground)
    return result


def fill_memory(ground: Ground) -> bool:
    """Let it have no memory until all that waits has been sent; False if that takes too long."""
    with no_memory(ground):
        try:
            until(lambda: not ground.client.exists("dtmf:due"), "what waits has been sent", 30)
        except AssertionError:
            return False
    return True
