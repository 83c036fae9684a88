"""A worker stands still (SIGSTOP) for longer than its lease, then goes on with what it had in hand."""

import signal
import time

from tests.fleet.harness import Ground, dice, until
from tests.soak.load import Load, served_by, wait_for_loss, wait_for_work
from tests.soak.result import Result

NAME = "workers frozen and woken"
SETTINGS: dict[str, object] = {"DTMF_CONCURRENCY": 24}
WORKERS = ("one", "two", "three")
LEASE_S = 1.2


def play(ground: Ground, seconds: float) -> Result:
    """Freeze and wake for so many seconds, then let the fleet come to the end of its tasks."""
    result, chance = Result(), dice(6)
    ground.start(*WORKERS)
    taken = freezes = 0
    with Load(ground) as load:
        load.scene.rule(*load.lines, latency=[0.02, 0.1], answer_after=[0.02, 0.1])
        until(lambda: load.heard() > len(load.lines), "digits heard")
        end = time.monotonic() + seconds
        while not freezes or time.monotonic() < end:
            name = chance.choice(WORKERS)
            wait_for_work(ground, load.lines, name)
            ground.worker(name).signal(signal.SIGSTOP)
            held = served_by(ground, load.lines, name)
            try:
                time.sleep(LEASE_S * chance.uniform(1.1, 2))
                # All that it held belongs to others by now, with the digit that it has in hand.
                wait_for_loss(ground, load.lines, name)
            finally:
                ground.worker(name).signal(signal.SIGCONT)
            taken, freezes = taken + len(held), freezes + 1
            time.sleep(chance.uniform(0.2, 1))
    result.see("freezes", freezes)
    result.see("channels taken over", taken)
    result.take(load.verdict())
    codes = [event["code"] for line in load.lines for event in load.scene.requests(line)]
    result.see("copies refused by the API", codes.count("SignatureNonceUsed"))
    result.must(taken, "no worker was frozen at work: the scenario shows nothing")
    result.broken += ground.faults()
    return result
