"""A bad network to the API: answers are dropped, reset, cut short, delayed and trickled; a fifth never arrives."""

import socket
import struct
import threading
import time
from collections import Counter

from tests.fleet.harness import QUICK, Ground, dice, until
from tests.soak.load import Load
from tests.soak.result import Result
from tests.unit.proxy import Proxy
from worker.record import State

NAME = "a bad network to the API"
SETTINGS: dict[str, object] = {"DTMF_CONCURRENCY": 24, **QUICK}
WORKERS = ("one", "two")
# SO_LINGER on, zero seconds: closing sends a reset.
_RESET = struct.pack("ii", 1, 0)
# What may befall an answer, and how likely it is. The first four lose it: the digit is executed, but unanswered.
CHANCES = {"dropped": 0.07, "reset": 0.05, "truncated": 0.05, "too slow": 0.03, "delayed": 0.1, "trickled": 0.05}
LOST = ("dropped", "reset", "truncated", "too slow")


class Weather:
    """What befalls the answers that pass through a proxy; counted by kind."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._dice = dice(9)
        self._lock = threading.Lock()

    def __call__(self, answer: bytes, client: socket.socket) -> bool:
        """Ill-treat one answer; whether the connection lasts."""
        with self._lock:
            kind = self._dice.choices(["passed", *CHANCES], [1 - sum(CHANCES.values()), *CHANCES.values()])[0]
            seconds = self._dice.uniform(0.1, 0.6)
            self.counts[kind] += 1
        if kind == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            client.close()
        if kind == "truncated":
            client.sendall(answer[: len(answer) // 2])
        if kind in {"dropped", "reset", "truncated"}:
            return False
        if kind == "delayed":
            time.sleep(seconds)
        pieces = {"trickled": (100, 0.05), "too slow": (1, 0.1)}
        size, pause = pieces.get(kind, (len(answer), 0.0))
        for at in range(0, len(answer), size):
            client.sendall(answer[at : at + size])
            time.sleep(pause)
        return True


def play(ground: Ground, seconds: float) -> Result:
    """Send through bad weather for so many seconds, then let the fleet come to the end of its tasks."""
    result, weather = Result(), Weather()
    with Proxy(ground.simulator.port) as proxy:
        proxy.treat = weather
        ground.start(*WORKERS, CCC_ENDPOINT=f"http://127.0.0.1:{proxy.port}")
        with Load(ground) as load:
            load.scene.rule(*load.lines, answer_after=[0.02, 0.1])
            until(lambda: load.heard() > len(load.lines), "digits heard")
            time.sleep(seconds)
        result.take(load.verdict())
    lost = sum(weather.counts[kind] for kind in LOST)
    answers = weather.counts.total()
    result.see("answers", answers)
    for kind in CHANCES:
        result.see(f"answers {kind}", weather.counts[kind])
    result.see("answers lost", 100 * lost / answers, "%")
    result.must(lost, "no answer was lost: the scenario shows nothing")
    states = load.scene.states() - {State.SENT, State.PRESUMED}
    result.must(not states, f"tasks ended as {sorted(states)}")
    result.broken += ground.faults()
    return result
