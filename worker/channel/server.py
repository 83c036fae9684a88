"""The connection to Redis, and whether the server is fit to keep tasks."""

from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from worker.errors import UnfitServer

# An outage of the server: it may pass. Any other error of Redis is a fault of ours or of its set-up.
OUTAGE = (RedisConnectionError, RedisTimeoutError, ReadOnlyError)
OLDEST_VERSION = (7, 0)


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
    version = str(info["redis_version"])
    faults = []
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_VERSION:
        faults.append(f"its version is {version}; Valkey or Redis 7.0 or newer is needed")
    # A managed server may hide either: a hidden policy is taken on trust, a hidden file as none.
    policy = info.get("maxmemory_policy", "eviction policy not shown")
    if policy not in {"noeviction", "eviction policy not shown"}:
        faults.append(
            f"its maxmemory-policy is {policy}, which drops waiting tasks when memory is full; set it to noeviction"
        )
    keeps_file = bool(int(info.get("aof_enabled", 0)))
    if not keeps_file and not allow_volatile:
        faults.append(
            "it keeps no append-only file, so a restart loses waiting tasks; set appendonly yes (best with "
            "appendfsync always), or accept the loss with DTMF_REDIS_ALLOW_VOLATILE=1"
        )
    if faults:
        raise UnfitServer("the Redis server is not fit to keep tasks: " + "; ".join(faults))
    kept = "append-only file" if keeps_file else "no append-only file"
    name = f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {version}"
    return f"{name}, {policy}, {kept}"
