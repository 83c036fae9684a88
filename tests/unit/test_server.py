"""The server that keeps the tasks: what is asked of it at the start, and TLS on the way to it."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from config.celery import WAKE_QUEUE, celery_config
from config.settings import Settings
from tests.unit.proxy import Proxy
from worker.channel.server import check_server, connect
from worker.errors import UnfitServer
from worker.local.redis import LocalRedis, free_port
from worker.vault import new_secret_key


class _Told:
    """A server that says of itself what it is told to say."""

    def __init__(self, **info: Any) -> None:
        self._info = {"redis_version": "7.0.0", "maxmemory_policy": "noeviction", "aof_enabled": 1, **info}

    def info(self, _section: str) -> dict[str, Any]:
        return self._info


def check(client: Any, *, allow_volatile: bool = False) -> str:
    return check_server(client, allow_volatile=allow_volatile)


@contextmanager
def server(folder: Path, **config: Any) -> Iterator[Redis]:
    """A client of a real server with these settings."""
    with LocalRedis(folder, fsync="no", **config) as local:
        client = connect(local.url, timeout=30)
        try:
            yield client
        finally:
            client.close()


def test_a_server_set_up_as_the_embedded_one_is_fit(redis_client: Redis) -> None:
    text = check(redis_client)
    assert text.startswith("Valkey 9.")
    assert text.endswith(", noeviction, append-only file")


def test_an_embedded_server_whose_port_was_taken_meanwhile_takes_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken: int = other.getsockname()[1]
        ports = iter([taken, free_port()])
        monkeypatch.setattr("worker.local.redis.free_port", lambda: next(ports))
        with LocalRedis(tmp_path, fsync="no") as local:
            assert local.port != taken
            assert local.is_running()
        with pytest.raises(OSError, match="already in use"):
            LocalRedis(tmp_path, port=taken).start()


def test_a_server_that_evicts_and_keeps_nothing_is_told_both_at_once(tmp_path: Path) -> None:
    with server(tmp_path, **{"maxmemory-policy": "allkeys-lru", "appendonly": "no"}) as client:
        with pytest.raises(UnfitServer) as caught:
            check(client)
        text = str(caught.value)
        assert "maxmemory-policy is allkeys-lru" in text
        assert "set it to noeviction" in text
        assert "set appendonly yes" in text
        assert "DTMF_REDIS_ALLOW_VOLATILE=1" in text
        # A server that keeps nothing may be accepted; one that drops tasks while it runs may not.
        with pytest.raises(UnfitServer) as caught:
            check(client, allow_volatile=True)
        assert "appendonly" not in str(caught.value)


def test_a_server_that_keeps_nothing_is_taken_if_the_settings_allow_it(tmp_path: Path) -> None:
    with server(tmp_path, appendonly="no") as client:
        with pytest.raises(UnfitServer, match="no append-only file"):
            check(client)
        assert check(client, allow_volatile=True).endswith(", noeviction, no append-only file")


@pytest.mark.parametrize("version", ["7.0.0", "7.2.4", "8.0", "10.1.2", "255.255.255"])
def test_a_version_that_is_new_enough_is_named(version: str) -> None:
    assert check(_Told(redis_version=version)) == f"Redis {version}, noeviction, append-only file"


@pytest.mark.parametrize("version", ["6.2.14", "6.9", "5.0.14", "2.8"])
def test_an_old_version_is_refused_with_every_other_fault(version: str) -> None:
    with pytest.raises(UnfitServer) as caught:
        check(_Told(redis_version=version, maxmemory_policy="volatile-ttl", aof_enabled=0))
    assert f"its version is {version}; Valkey or Redis 7.0 or newer is needed" in str(caught.value)
    assert "volatile-ttl" in str(caught.value)
    assert "append-only" in str(caught.value)


def test_a_call_whose_server_is_gone_is_not_repeated_behind_our_back() -> None:
    client = connect(f"redis://127.0.0.1:{free_port()}/0", timeout=30)
    assert client.get_retry()._retries == 0  # type: ignore[union-attr]
    with pytest.raises(RedisConnectionError):
        client.ping()
    client.close()


# TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for `localhost`, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    plain = serialization.NoEncryption()
    pkcs8 = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(pkcs8 + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
def tls_port(redis_server: LocalRedis, redis_client: Redis, certificate: Path) -> Iterator[int]:
    """A port on which the server speaks TLS."""
    del redis_client  # it empties the server
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Proxy(redis_server.port, tls=context) as proxy:
        yield proxy.port


def settings(patch: pytest.MonkeyPatch, host: str, port: int, tls: str) -> Settings:
    for name in Settings.model_fields:
        patch.delenv(name, raising=False)
    patch.setenv("REDIS_URL", f"rediss://{host}:{port}/0")
    patch.setenv("DTMF_SECRET_KEYS", new_secret_key())
    patch.setenv("DTMF_REDIS_TLS", tls)
    return Settings.load(worker=False)


def ping(under: Settings) -> bool:
    """Whether the channel queue's own client gets through."""
    client = connect(under.REDIS_URL.get_secret_value(), timeout=30, **under.redis_tls)
    try:
        return bool(client.ping())
    finally:
        client.close()


@contextmanager
def celery(under: Settings) -> Iterator[Any]:
    """An application under our configuration of Celery."""
    with Celery("test", set_as_current=False) as app:
        app.config_from_object(celery_config(under))
        backend: Any = app.backend
        try:
            yield app
        finally:
            backend.result_consumer.stop()
            backend.client.close()


def use(under: Settings) -> None:
    """Publish a message and store and fetch a result, as producers and workers do."""
    with celery(under) as app:
        app.send_task("some.task", queue=WAKE_QUEUE, task_id="task-1", ignore_result=True, retry=False)
        with app.connection_for_read() as connection:
            queue = connection.SimpleQueue(app.amqp.queues[WAKE_QUEUE])
            message = queue.get(timeout=10)
            assert message.headers["id"] == "task-1"
            message.ack()
            queue.close()
        app.backend.store_result("task-1", {"state": "sent"}, "SUCCESS")
        assert app.AsyncResult("task-1").get(timeout=10) == {"state": "sent"}


def refused(under: Settings) -> None:
    """Neither our client nor Celery's broker nor its backend gets through."""
    with pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        ping(under)
    with celery(under) as app:
        with app.connection_for_write() as connection, pytest.raises(RedisConnectionError, match="VERIFY_FAILED"):
            connection.connect()
        with pytest.raises(RedisConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            app.backend.client.ping()


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(settings(monkeypatch, "localhost", tls_port, "verify"))


def test_the_setting_for_plain_redis_does_not_let_a_bad_certificate_pass(
    tls_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused(settings(monkeypatch, "localhost", tls_port, "off"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_self_signed_certificate_is_taken_where_the_setting_says_so(
    tls_port: int, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    under = settings(monkeypatch, host, tls_port, "no-verify")
    assert ping(under)
    use(under)


def test_a_certificate_of_a_trusted_authority_is_taken(
    tls_port: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    under = settings(monkeypatch, "localhost", tls_port, "verify")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert ping(under)
    use(under)


def test_a_trusted_certificate_for_another_host_is_refused(
    tls_port: int, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    refused(settings(monkeypatch, "127.0.0.1", tls_port, "verify"))
