"""The connection to Redis, and whether the server is fit to keep tasks."""

import ssl
from collections.abc import Mapping
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from worker.errors import UnfitServer


class CannotSave(ReadOnlyError):
    """The server takes no writes, because its disk took none (MISCONF)."""


# An outage of the server: it may pass. Any other error of Redis is a fault of ours or of its set-up.
OUTAGE = (RedisConnectionError, RedisTimeoutError, ReadOnlyError)
OLDEST_VERSION = (7, 0)
_HIDDEN = "eviction policy not shown"


def connect(url: str, *, timeout: float, max_connections: int | None = None, **tls: Any) -> "Redis":
    """A client that never repeats a call by itself: what a lost answer means is the caller's to decide.

    Args:
        url: redis://, rediss:// or unix://.
        timeout: seconds to wait for a connection, and for an answer.
        max_connections: most connections at a time; None for no limit.
        tls: redis-py's ssl_* options.
    """
    return Redis.from_url(
        url,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        socket_keepalive=True,
        decode_responses=True,
        max_connections=max_connections,
        **tls,
    )


def explain(error: RedisError) -> str:
    """What went wrong, as a clause that begins with "Redis": never the error's own text, which may hold the URL."""
    if isinstance(error, AuthenticationError):
        # WRONGPASS, NOAUTH; redis-py 7 does not keep the code.
        code = getattr(error, "status_code", None) or type(error).__name__
        return f"Redis refuses the user or password of REDIS_URL, or misses one there ({code}); correct REDIS_URL"
    code = _code(error)
    if isinstance(error, NoPermissionError):
        return f"Redis forbids the user of REDIS_URL to do this ({code}); widen its ACL"
    if code == "MISCONF":
        return f"Redis cannot write to its disk ({code}); see its log, and whether the disk is full"
    if isinstance(error, ReadOnlyError):
        return f"Redis takes no writes ({code}); point REDIS_URL at the primary, or wait for the failover to end"
    if isinstance(error, OutOfMemoryError):
        return f"Redis has no memory left ({code}); raise its maxmemory"
    if isinstance(error, BusyLoadingError):
        return f"Redis is loading its data ({code}); wait for it"
    if code == ssl.SSLCertVerificationError.__name__:
        return f"Redis has a TLS certificate that is not trusted ({code}); see DTMF_REDIS_TLS"
    if isinstance(error, OUTAGE):
        return f"Redis does not answer ({code})"
    return f"Redis does not take it ({code})"


def boot_of(info: Mapping[str, Any]) -> str:
    """The server's boot, from its INFO, as server_boot in shared/keys.lua has it."""
    return str(info["run_id"])[:20] + str(info.get("master_replid", ""))[:20]


def may_pass(error: RedisError) -> bool:
    """Whether the same call may succeed a moment later: an outage, and no refused password."""
    return isinstance(error, OUTAGE) and not isinstance(error, AuthenticationError)


def is_hindered(error: RedisError) -> bool:
    """Whether it is the server's state that refuses any such call, so that it is no fault of ours and may pass."""
    # UNBLOCKED: it became a replica while a call waited in it.
    return isinstance(error, (*OUTAGE, OutOfMemoryError)) or _code(error) in {"UNBLOCKED", "MISCONF"}


def as_outage(error: ResponseError) -> ResponseError:
    """The same error, or the outage that redis-py has no class for."""
    return CannotSave(str(error)) if _code(error) == "MISCONF" else error


def _code(error: RedisError) -> str:
    """NOPERM, ConnectionRefusedError, TimeoutError and the like."""
    code = getattr(error, "status_code", None) or str(error).partition(" ")[0]
    if code.isalpha() and code.isupper():
        return str(code)
    return type(error.__cause__ or error.__context__ or error).__name__


def check_server(client: "Redis", *, allow_volatile: bool) -> str:
    """See that the server is Valkey or Redis 7.0 or newer, evicts nothing and writes to disk.

    Args:
        client: a client of the server.
        allow_volatile: accept a server that keeps nothing on disk.

    Returns:
        A line that describes the server.

    Raises:
        UnfitServer: naming every fault and what to set.
    """
    info = {**client.info("server"), **client.info("memory"), **client.info("persistence")}
    faults = [version_fault(info), eviction_fault(info), None if allow_volatile else file_fault(info)]
    found = [fault for fault in faults if fault]
    if found:
        raise UnfitServer("the Redis server is not fit to keep tasks: " + "; ".join(found))
    kept = "no append-only file" if file_fault(info) else "append-only file"
    return f"{server_name(info)}, {info.get('maxmemory_policy', _HIDDEN)}, {kept}"


def server_name(info: Mapping[str, Any]) -> str:
    """Name and version, from INFO."""
    return f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"


def version_fault(info: Mapping[str, Any]) -> str | None:
    """What is wrong with the version that INFO tells, or None."""
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) >= OLDEST_VERSION:
        return None
    return f"its version is {version}; Valkey or Redis 7.0 or newer is needed"


def eviction_fault(info: Mapping[str, Any]) -> str | None:
    """What is wrong with the eviction policy that INFO tells, or None."""
    # A managed server may hide it: then it is taken on trust, and a hidden append-only file as none.
    policy = info.get("maxmemory_policy", _HIDDEN)
    if policy in {"noeviction", _HIDDEN}:
        return None
    return f"its maxmemory-policy is {policy}, which drops waiting tasks when memory is full; set it to noeviction"


def file_fault(info: Mapping[str, Any]) -> str | None:
    """What is wrong if, by INFO, the server keeps nothing on disk, or None."""
    if int(info.get("aof_enabled", 0)):
        return None
    return (
        "it keeps no append-only file, so a restart loses waiting tasks; set appendonly yes (best with "
        "appendfsync always), or accept the loss with DTMF_REDIS_ALLOW_VOLATILE=1"
    )
