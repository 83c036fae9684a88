"""Every environment variable that the project reads, checked together, each fault named in one message."""

import re
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

import click
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.faults import faults_between, faults_of_flower, faults_of_worker, is_this_machine
from worker.ccc.credentials import Credentials
from worker.errors import DtmfError
from worker.vault import decode_secret_key, new_secret_key

Ms = Annotated[int, Field(gt=0, le=86_400_000)]
_HOST = re.compile(r"[\w.:%-]+")
_REDIS_PATH = re.compile(r"(/[0-9]*)?")


class SettingsError(DtmfError, click.ClickException):
    """Settings are missing or wrong. A command line shows it as one message, without a traceback."""

    def __init__(self, faults: list[str]) -> None:
        message = "the settings are not right:\n" + "\n".join(f"  - {fault}" for fault in faults)
        DtmfError.__init__(self, message)
        click.ClickException.__init__(self, message)
        self.faults = faults


class Settings(BaseSettings):
    """The settings of a producer and of a worker. A producer needs REDIS_URL and DTMF_SECRET_KEYS alone."""

    model_config = SettingsConfigDict(
        case_sensitive=True,
        env_ignore_empty=True,
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        extra="ignore",
    )

    REDIS_URL: SecretStr
    """Redis or Valkey, 7.0 or newer: rediss://… (TLS); redis:// on this machine or with DTMF_REDIS_TLS=off."""
    DTMF_SECRET_KEYS: SecretStr
    """Secret keys, comma-separated, the one in use first; `dtmf secret` makes one."""
    DTMF_REDIS_TLS: Literal["verify", "no-verify", "off"] = "verify"
    """no-verify: accept a self-signed certificate (Heroku). off: allow redis:// to another machine."""
    DTMF_REDIS_ALLOW_VOLATILE: bool = False
    """Accept a server without an append-only file: its restart loses what waits."""
    DTMF_REDIS_TIMEOUT_MS: Ms = 3000
    """How long one call to Redis may take."""

    CCC_ENDPOINT: str | None = None
    """Where the API is; by default that of CCC_REGION. http:// is taken for this machine only."""
    CCC_REGION: str = Field("cn-shanghai", pattern=r"^[a-z0-9-]{2,40}$")
    """Region of the contact centre."""
    CCC_INSTANCE_ID: str | None = None
    """Instance for tasks that name none. A worker needs it."""
    CCC_USER_ID: str | None = None
    """Agent for tasks that name none. A worker needs it."""
    CCC_DEVICE_ID: str | None = None
    """Device for tasks that name none. A worker needs it."""
    CCC_SIGNATURE: Literal["v3", "v1"] = "v3"
    """v3: ACS3-HMAC-SHA256. v1: the older RPC signature, HMAC-SHA1."""
    CCC_CA_BUNDLE: str | None = None
    """File with the certificate authorities that sign the endpoint's certificate, if not the usual ones."""
    ALIBABA_CLOUD_ACCESS_KEY_ID: str | None = None
    """AccessKey that signs. A worker needs it, or one of the two roles below."""
    ALIBABA_CLOUD_ACCESS_KEY_SECRET: SecretStr | None = None
    """Its secret."""
    ALIBABA_CLOUD_SECURITY_TOKEN: SecretStr | None = None
    """Security token, where the AccessKey is temporary."""
    ALIBABA_CLOUD_ROLE_ARN: str | None = None
    """Role of a Kubernetes service account (RRSA) that signs, if no AccessKey is set."""
    ALIBABA_CLOUD_OIDC_PROVIDER_ARN: str | None = None
    """Its identity provider."""
    ALIBABA_CLOUD_OIDC_TOKEN_FILE: str | None = None
    """File with the service account's token; read again for each refresh."""
    ALIBABA_CLOUD_ECS_METADATA: str | None = Field(None, pattern=r"^[A-Za-z0-9._-]{1,64}$")
    """Name of the role of this machine (ECS) that signs, if neither of the others is set."""

    DTMF_CONCURRENCY: int = Field(32, ge=1, le=1000)
    """Channels that one worker process serves at the same time (threads)."""
    DTMF_DEADLINE_MS: Ms = 30_000
    """Time from enqueue after which no digit of a task is sent, unless the task says otherwise."""
    DTMF_GAP_MS: int = Field(0, ge=0, le=60_000)
    """Least time between two digits of a task that names no gap."""
    DTMF_CHANNEL_LIMIT: int = Field(1000, ge=1, le=10_000)
    """Most tasks that wait on one channel."""
    DTMF_SYSTEM_LIMIT: int = Field(100_000, ge=1)
    """Most tasks that wait on all channels together."""
    DTMF_RATE_PER_SECOND: float = Field(0, ge=0, le=100_000)
    """Most digits a second of the whole fleet; 0 for no limit."""
    DTMF_RECORD_MS: int = Field(86_400_000, ge=60_000)
    """How long records are kept."""
    DTMF_LEASE_MS: Ms = 1200
    """Silence after which a run's channel goes to another run."""
    DTMF_BEAT_MS: Ms = 300
    """Time between two signs of life of a worker's runs."""
    DTMF_SWEEP_MS: Ms = 200
    """Time between two looks for channels that nobody serves."""
    DTMF_SLICE_MS: Ms = 5000
    """How long a run keeps a busy channel before it gets in line again."""
    DTMF_HOLD_MS: Ms = 5000
    """How long a channel waits after a digit of unknown fate: a copy may still arrive."""
    DTMF_BREAK_MS: Ms = 30_000
    """How long a broken line refuses new tasks."""
    DTMF_PROBE_MS: Ms = 4000
    """While the API refuses the AccessKey or the clock: longest time between two requests that try again."""
    DTMF_CONNECT_TIMEOUT_MS: Ms = 2000
    """Longest connect to the API."""
    DTMF_READ_TIMEOUT_MS: Ms = 5000
    """Longest silence of the API in an answer."""
    DTMF_TOTAL_TIMEOUT_MS: int = Field(6000, gt=0, le=10_000)
    """Longest request in all. A worker that is told to stop waits so long at the most for its digit."""

    DTMF_LOG_FORMAT: Literal["text", "json"] = "text"
    """How a worker logs: text, or json with one object a line."""
    SENTRY_DSN: SecretStr | None = None
    """Where workers and `dtmf` report faults; by default nowhere."""
    SENTRY_ENVIRONMENT: str | None = None
    """Sentry's name for the deployment; by default production."""
    SENTRY_RELEASE: str | None = None
    """Sentry's name for the release; by default this package's version."""

    DTMF_FLOWER_USER: str = "dtmf"
    """User name for Flower's pages."""
    DTMF_FLOWER_PASSWORD: SecretStr | None = None
    """Their password, 12 characters or more. Flower needs it."""
    DTMF_FLOWER_WRITABLE: bool = False
    """Let who has the password change things in Flower: send and revoke tasks, shut workers down."""
    DTMF_FLOWER_ADDRESS: str | None = None
    """Address on which Flower listens; by default 127.0.0.1, or every address if PORT is set."""
    PORT: str | None = None
    """Port on which Flower listens; by default 5555. Heroku sets it."""

    @field_validator("REDIS_URL")
    @classmethod
    def _redis_url(cls, url: SecretStr) -> SecretStr:
        parts = _split(url.get_secret_value())
        if not parts or parts.scheme not in {"redis", "rediss"} or not _REDIS_PATH.fullmatch(parts.path):
            raise ValueError(
                "is not a URL of the form rediss://user:password@host:port/0; / ? # @ [ ] in a password are written "
                "%2F %3F %23 %40 %5B %5D"
            )
        # redis-py and Celery let a query override the settings, so ?ssl_cert_reqs=none would turn TLS's checks off.
        if parts.query or parts.fragment:
            raise ValueError("must end after the database's number; for TLS options there is DTMF_REDIS_TLS")
        return url

    @field_validator("DTMF_SECRET_KEYS")
    @classmethod
    def _secret_keys(cls, keys: SecretStr) -> SecretStr:
        for place, key in enumerate(keys.get_secret_value().split(","), start=1):
            try:
                decode_secret_key(key.strip())
            except ValueError as error:
                raise ValueError(f"number {place} {error}") from None
        return keys

    @field_validator("CCC_ENDPOINT")
    @classmethod
    def _endpoint(cls, endpoint: str | None) -> str | None:
        parts = _split(endpoint or "https://default")
        bare = parts and parts.path in {"", "/"} and not (parts.query or parts.fragment or "@" in parts.netloc)
        if not parts or not bare:
            raise ValueError("is not of the form https://host or https://host:port")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_this_machine(parts.hostname or "")):
            raise ValueError("must begin with https:// (http:// is taken for this machine only)")
        return endpoint

    @property
    def secret_keys(self) -> list[bytes]:
        """The decoded secret keys, the one in use first."""
        return [decode_secret_key(key.strip()) for key in self.DTMF_SECRET_KEYS.get_secret_value().split(",")]

    @property
    def endpoint(self) -> str:
        """Where the API is."""
        return self.CCC_ENDPOINT or f"https://ccc.{self.CCC_REGION}.aliyuncs.com"

    def static_credentials(self) -> Credentials:
        """The AccessKey of the environment.

        Raises:
            BadCredentials: it is missing, or cannot be one.
        """
        secret, token = self.ALIBABA_CLOUD_ACCESS_KEY_SECRET, self.ALIBABA_CLOUD_SECURITY_TOKEN
        return Credentials(
            self.ALIBABA_CLOUD_ACCESS_KEY_ID or "",
            secret.get_secret_value() if secret else "",
            token.get_secret_value() if token else None,
        )

    @property
    def flower_address(self) -> str:
        """Where Flower listens: on this machine alone unless it is asked to; empty for every address."""
        return self.DTMF_FLOWER_ADDRESS or ("" if self.PORT else "127.0.0.1")

    @property
    def redis_timeout(self) -> float:
        """How long one call to Redis may take, in seconds."""
        return self.DTMF_REDIS_TIMEOUT_MS / 1000

    @property
    def redis_tls(self) -> dict[str, Any]:
        """The TLS options for redis-py, Celery's broker and its result backend; none for redis://."""
        if not self.REDIS_URL.get_secret_value().startswith("rediss://"):
            return {}
        verify = self.DTMF_REDIS_TLS != "no-verify"
        return {"ssl_cert_reqs": "required" if verify else "none", "ssl_check_hostname": verify}

    @classmethod
    def load(cls, *, worker: bool, flower: bool = False) -> Self:
        """Read and check the environment.

        Args:
            worker: also demand what only a worker needs.
            flower: also demand what only Flower needs.

        Raises:
            SettingsError: naming every fault, and no secret.
        """
        settings, faults, _ = cls.examine(worker=worker, flower=flower)
        if faults:
            raise SettingsError(faults)
        return settings

    @classmethod
    def examine(cls, *, worker: bool, flower: bool = False) -> tuple[Self, list[str], set[str]]:
        """Read and check the environment as load does, and go on: for a look at what is there.

        Returns:
            The settings, every fault, and the names of those settings in whose place another value stands, because
            they are missing or wrong.
        """
        faults: list[str] = []
        wrong: dict[str, Any] = {}
        try:
            settings = cls()
        except ValidationError as error:
            wrong = {str(fault["loc"][0]): fault for fault in error.errors(include_input=False)}
            faults = [f"{name} {_reason(fault)}" for name, fault in wrong.items()]
            # With these in the place of the wrong ones, the rest can still be checked against each other.
            stand_ins = {"REDIS_URL": "redis://localhost", "DTMF_SECRET_KEYS": new_secret_key()}
            defaults = {name: stand_ins.get(name, cls.model_fields[name].default) for name in wrong}
            settings = cls(**defaults)
        faults += faults_between(settings)
        if worker:
            faults += faults_of_worker(settings, wrong)
        if flower:
            faults += faults_of_flower(settings)
        return settings, faults, set(wrong)


def _split(url: str) -> SplitResult | None:
    """The parts of a URL with a host; None if it has none or is no URL. urllib's own errors quote the password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    # The scheme is compared as it stands, as redis-py does.
    written = url.startswith(f"{parts.scheme}://") and url.isprintable()
    return parts if written and port != 0 and _HOST.fullmatch(parts.hostname or "") else None


def _reason(fault: Any) -> str:
    if fault["type"] == "missing":
        return "is missing"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    return f"is wrong: {str(fault['msg'])[0].lower()}{str(fault['msg'])[1:]}"
