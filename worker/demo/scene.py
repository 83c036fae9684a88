"""The demo's scene: who dials what and when, and what goes wrong on which channels."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

INSTANCE = "ccc-test"
CLOSING_INSTANCE = "ccc-closing"
HEALTHY = 96
BURSTS = 4
BURST_EVERY_S = 3.5
KILL_AT_S = 8.0
THROTTLE_AT_S = 11.5
SEED = 20200701


@dataclass(frozen=True, slots=True)
class Press:
    """One task to enqueue: at so many seconds of the scene, on a line, these keys, with these options."""

    at: float
    line: "Line"
    dtmf: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One channel of the scene, and what befalls it."""

    kind: str
    channel_id: str
    job_id: str
    instance_id: str = INSTANCE
    options: dict[str, Any] = field(default_factory=dict)


# What befalls a line, how many there are of the kind, and whether all of its digits must be heard.
KINDS = {
    "healthy": (HEALTHY, True),
    "answer lost": (6, True),
    "request lost": (4, True),
    "no answer in time": (3, True),
    "channel ends": (4, False),
    "job ends": (3, False),
    "instance ends": (2, False),
    "internal error": (3, False),
    "internal error, resend": (2, True),
    "unavailable": (3, False),
}


def lines() -> list[Line]:
    """Every channel of the scene."""
    made: list[Line] = []
    for kind, (count, _) in KINDS.items():
        for _ in range(count):
            number = len(made)
            job = f"job-{65735740600893440 + number}"
            channel = f"ch:customer:010{89898000 + number}->13188888{number:03}:{1609234221870 + number}:{job}"
            options: dict[str, Any] = {}
            if kind == "internal error, resend":
                options["on_unknown"] = "resend"
            if kind == "unavailable":
                options["expires_in"] = 3
            instance = CLOSING_INSTANCE if kind == "instance ends" else INSTANCE
            made.append(Line(kind, channel, job, instance, options))
    return made


def presses(cast: list[Line]) -> list[Press]:
    """What is enqueued, in the order of time: on every line bursts of menu choices, PINs and customer numbers."""
    dice = Random(SEED)  # noqa: S311 - a scene that is the same each time
    found = []
    for line in cast:
        start = dice.uniform(0, BURST_EVERY_S)
        for burst in range(BURSTS):
            at = start + burst * BURST_EVERY_S
            found += [Press(at, line, dtmf, line.options) for dtmf in _burst(dice)]
        if line.kind == "healthy":
            # So that the worker that is killed is at work on many channels.
            found.append(Press(KILL_AT_S, line, _number(dice, 11) + "#"))
    return sorted(found, key=lambda press: press.at)


def _burst(dice: Random) -> Iterator[str]:
    yield dice.choice("123456789*")
    yield _number(dice, 4) + "#"
    if dice.random() < 0.3:
        yield f"{dice.choice('123')}w{_number(dice, 2)}#"


def _number(dice: Random, length: int) -> str:
    return "".join(dice.choice("0123456789") for _ in range(length))


def late_rules(cast: list[Line]) -> list[dict[str, Any]]:
    """What is added at THROTTLE_AT_S: a quota, so that the fleet must slow down together.

    Not on lines whose answers are lost: a digit that is throttled while in doubt may have to end as unknown.
    """
    healthy = [line.channel_id for line in cast if line.kind == "healthy"]
    return [{"name": "quota", "match": {"channel": healthy}, "throttle": {"rate": 150, "retry_after_ms": 150}}]


def rules(cast: list[Line]) -> list[dict[str, Any]]:
    """The scene as the simulator takes it."""

    def on(kind: str, **match: Any) -> dict[str, Any]:
        return {"channel": [line.channel_id for line in cast if line.kind == kind], **match}

    error = {"code": "InternalError", "status": 500}
    return [
        {"name": "the network", "latency": [0.005, 0.025]},
        {"match": on("answer lost", probability=0.1), "drop": {"when": "after", "how": "reset"}},
        {"match": on("request lost", probability=0.15), "drop": {"when": "before"}},
        {"match": on("no answer in time", every=17), "answer_after": 30},
        {"match": on("internal error", digits=9), "error": {**error, "executed": True}},
        {"match": on("internal error, resend", every=11), "error": error},
        {"match": on("unavailable", digits=[4, None]), "error": {"code": "ServiceUnavailable", "status": 503}},
        {"match": on("channel ends", digits=8), "hang_up": "channel"},
        {"match": on("job ends", digits=11), "hang_up": "job"},
        {"match": on("instance ends", digits=16, times=1), "hang_up": "instance"},
        {"match": {"probability": 0.02}, "shapes": ["specification"]},
    ]
