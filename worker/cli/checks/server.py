"""Checks of the Redis server."""

import time
from collections.abc import Iterator
from typing import Any

from redis.exceptions import RedisError

from worker.channel.server import eviction_fault, explain, file_fault, server_name, version_fault
from worker.cli.checks.finding import Finding, Level, Patient

_CLOCK_WARNING_S = 1.0
_CLOCK_FAULT_S = 30.0
_MOST_MEMORY = 0.8


def redis(patient: Patient) -> Iterator[Finding]:
    """It answers, is new enough, and takes writes."""
    if "REDIS_URL" in patient.wrong:
        patient.out_of_reach["redis"] = "REDIS_URL is missing or wrong"
        yield Finding("redis", Level.SKIPPED, "because REDIS_URL is missing or wrong")
        return
    began = time.perf_counter()
    try:
        patient.client.ping()
        connected = time.perf_counter()
        patient.client.ping()
        took = time.perf_counter() - connected
        info = patient.info
    except RedisError as error:
        patient.out_of_reach["redis"] = explain(error).partition(" (")[0]
        do = "" if ";" in explain(error) else "start it, or correct REDIS_URL"
        yield Finding("redis", Level.FAULT, explain(error), do)
        return
    fault = version_fault(info)
    if fault:
        yield Finding("redis", Level.FAULT, fault)
    elif info.get("role", "master") != "master":
        patient.out_of_reach["writes"] = "Redis takes no writes"
        yield Finding("redis", Level.FAULT, "it is a replica and takes no writes", "point REDIS_URL at the primary")
    else:
        text = f"{server_name(info)} answers in {took * 1000:.1f} ms ({(connected - began) * 1000:.0f} ms to connect)"
        yield Finding("redis", Level.OK, text, data={"version": server_name(info), "ms": round(took * 1000, 3)})


def memory(patient: Patient) -> Iterator[Finding]:
    """It evicts nothing, and has room."""
    info = patient.info
    fault = eviction_fault(info)
    if fault:
        yield Finding("memory", Level.FAULT, fault)
        return
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    policy = info.get("maxmemory_policy", "eviction policy not shown")
    text = f"{policy}, {_megabytes(used)} of {_megabytes(most) if most else 'no limit'} used"
    data = {"used": used, "most": most}
    if most and used > most * _MOST_MEMORY:
        yield Finding("memory", Level.WARNING, text, "when it is full, new tasks are refused; raise maxmemory", data)
    else:
        yield Finding("memory", Level.OK, text, data=data)


def persistence(patient: Patient) -> Iterator[Finding]:
    """It keeps on disk what it takes."""
    info = patient.info
    fault = file_fault(info)
    if fault and patient.settings.DTMF_REDIS_ALLOW_VOLATILE:
        text = "no append-only file, as DTMF_REDIS_ALLOW_VOLATILE accepts"
        yield Finding("persistence", Level.WARNING, text, "a restart of Redis loses what waits")
        return
    if fault:
        yield Finding("persistence", Level.FAULT, fault)
        return
    if info.get("aof_last_write_status", "ok") != "ok":
        text = "the last write to the append-only file failed"
        yield Finding("persistence", Level.FAULT, text, "look at the server's disk and log")
        return
    fsync = _fsync(patient.client)
    data = {"appendfsync": fsync}
    if fsync in {"always", None}:
        text = f"append-only file, appendfsync {fsync or 'not shown'}"
        yield Finding("persistence", Level.OK, text, data=data)
    else:
        text = f"appendfsync {fsync}: a crash may lose the last writes"
        yield Finding("persistence", Level.WARNING, text, "set appendfsync always, or accept it", data)


def clock(patient: Patient) -> Iterator[Finding]:
    """The server's clock and this machine's agree: deadlines given as moments are compared with the server's."""
    before = time.time()
    seconds, micros = patient.client.time()
    here = (before + time.time()) / 2
    ahead = seconds + micros / 1e6 - here
    patient.redis_ahead_s = ahead
    data = {"redis_ahead_s": round(ahead, 3)}
    text = f"Redis and this machine differ by {abs(ahead):.2f} s"
    if abs(ahead) <= _CLOCK_WARNING_S:
        yield Finding("clock", Level.OK, text, data=data)
        return
    level = Level.FAULT if abs(ahead) > _CLOCK_FAULT_S else Level.WARNING
    do = "set both by NTP; a deadline given as a moment counts by Redis's clock"
    yield Finding("clock", level, f"{text}: it is {'ahead' if ahead > 0 else 'behind'}", do, data)


def _fsync(client: Any) -> str | None:
    try:
        value: str | None = client.config_get("appendfsync").get("appendfsync")
    except RedisError:
        # Managed servers forbid CONFIG.
        return None
    return value


def _megabytes(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"
