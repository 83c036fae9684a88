"""What can be wrong with settings beyond the form of each: each fault is a sentence that names the setting."""

import ipaddress
import os
import re
from collections.abc import Container
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker.ccc.endpoint import settle_endpoint
from worker.ccc.errors import BadCredentials, BadEndpoint

if TYPE_CHECKING:
    from config.settings import Settings

WORKER_NEEDS = ("CCC_INSTANCE_ID", "CCC_USER_ID", "CCC_DEVICE_ID")
# What a worker may sign with; the first that is set is used.
CREDENTIALS: dict[str, tuple[str, ...]] = {
    "an AccessKey": ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
    "the role of a Kubernetes service account": (
        "ALIBABA_CLOUD_ROLE_ARN",
        "ALIBABA_CLOUD_OIDC_PROVIDER_ARN",
        "ALIBABA_CLOUD_OIDC_TOKEN_FILE",
    ),
    "the role of the machine": ("ALIBABA_CLOUD_ECS_METADATA",),
}
PASSWORD_LENGTH = 12


def is_this_machine(host: str) -> bool:
    """Whether a host name or address can only mean this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def faults_between(settings: "Settings") -> list[str]:
    """Settings that do not go together, whoever reads them."""
    s = settings
    faults = []
    redis = urlsplit(s.REDIS_URL.get_secret_value())
    if redis.scheme == "redis" and s.DTMF_REDIS_TLS != "off" and not is_this_machine(redis.hostname or ""):
        faults.append(
            "REDIS_URL is not encrypted (redis://) and leads to another machine; use rediss://, "
            "or accept it with DTMF_REDIS_TLS=off"
        )
    if s.DTMF_LEASE_MS < 3 * s.DTMF_BEAT_MS:
        faults.append("DTMF_LEASE_MS must be at least three times DTMF_BEAT_MS, or a live run loses its channel")
    if s.DTMF_SWEEP_MS > s.DTMF_LEASE_MS:
        faults.append("DTMF_SWEEP_MS must not be longer than DTMF_LEASE_MS")
    faults += [
        f"{name} must not be longer than DTMF_TOTAL_TIMEOUT_MS"
        for name in ("DTMF_CONNECT_TIMEOUT_MS", "DTMF_READ_TIMEOUT_MS")
        if getattr(s, name) > s.DTMF_TOTAL_TIMEOUT_MS
    ]
    if s.DTMF_HOLD_MS > s.DTMF_BREAK_MS:
        faults.append("DTMF_HOLD_MS must not be longer than DTMF_BREAK_MS")
    if s.DTMF_CHANNEL_LIMIT > s.DTMF_SYSTEM_LIMIT:
        faults.append("DTMF_CHANNEL_LIMIT must not be more than DTMF_SYSTEM_LIMIT")
    if s.ALIBABA_CLOUD_SECURITY_TOKEN and not s.ALIBABA_CLOUD_ACCESS_KEY_ID:
        faults.append("ALIBABA_CLOUD_SECURITY_TOKEN goes with an ALIBABA_CLOUD_ACCESS_KEY_ID")
    return faults


def faults_of_worker(settings: "Settings", wrong: Container[str]) -> list[str]:
    """What keeps a worker from its work; wrong: the names in whose place another value stands."""
    missing = [name for name in WORKER_NEEDS if not getattr(settings, name)]
    return [
        *(f"{name} is missing; a worker needs it" for name in missing),
        *_towards_the_api(settings),
        *_of_credentials(settings, wrong),
        # Of a worker alone: a producer's SENTRY_DSN is its own affair.
        *_of_sentry(settings),
    ]


def faults_of_flower(settings: "Settings") -> list[str]:
    """What keeps Flower from starting: no password that guards it, or no port."""
    faults = []
    password = settings.DTMF_FLOWER_PASSWORD.get_secret_value() if settings.DTMF_FLOWER_PASSWORD else ""
    if not password:
        faults.append("DTMF_FLOWER_PASSWORD is missing; Flower does not start without one")
    elif len(password) < PASSWORD_LENGTH:
        faults.append(f"DTMF_FLOWER_PASSWORD is too short; {PASSWORD_LENGTH} characters are the least")
    for name, value in (("DTMF_FLOWER_PASSWORD", password), ("DTMF_FLOWER_USER", settings.DTMF_FLOWER_USER)):
        # Browsers do not agree on how to send others, and a user name ends at the colon.
        if not (value.isascii() and value.isprintable()) or (name == "DTMF_FLOWER_USER" and ":" in value):
            faults.append(f"{name} has a character that browsers cannot send; use ASCII letters, digits and signs")
    port = settings.PORT or "1"
    if not re.fullmatch("[0-9]{1,5}", port) or not 0 < int(port) < 65_536:
        faults.append("PORT is not a port's number, 1 to 65535")
    return faults


def _towards_the_api(settings: "Settings") -> list[str]:
    """What keeps a worker from making a request: the endpoint's proxy and CA bundle, and characters in a key."""
    faults = []
    try:
        settle_endpoint(settings.endpoint, settings.CCC_CA_BUNDLE)
    except BadEndpoint as error:
        faults.append(f"CCC_ENDPOINT, CCC_CA_BUNDLE or a proxy: {error}")
    if settings.ALIBABA_CLOUD_ACCESS_KEY_ID and settings.ALIBABA_CLOUD_ACCESS_KEY_SECRET:
        try:
            settings.static_credentials()
        except BadCredentials as error:
            faults.append(f"ALIBABA_CLOUD_ACCESS_KEY_ID, its secret or the security token: {error}")
    return faults


def _of_sentry(settings: "Settings") -> list[str]:
    dsn = settings.SENTRY_DSN and settings.SENTRY_DSN.get_secret_value()
    if not dsn:
        return []
    from sentry_sdk.utils import BadDsn, Dsn  # noqa: PLC0415 - a producer has no use for it

    try:
        parts = Dsn(dsn)
    except (BadDsn, ValueError):
        return ["SENTRY_DSN is not of the form https://key@host/project, as Sentry shows it"]
    if parts.scheme != "https" and not is_this_machine(parts.host):
        return ["SENTRY_DSN must begin with https:// (http:// is taken for this machine only)"]
    return []


def _of_credentials(settings: "Settings", wrong: Container[str]) -> list[str]:
    """What keeps a worker from having something to sign with; whether a source answers shows later."""
    given = {
        kind: [name for name in names if getattr(settings, name) or name in wrong]
        for kind, names in CREDENTIALS.items()
    }
    if not any(given.values()):
        choices = "; ".join(f"{kind} ({', '.join(names)})" for kind, names in CREDENTIALS.items())
        return [f"there are no credentials; a worker needs one of: {choices}"]
    faults = [
        f"{name} is missing; it goes with {' and '.join(given[kind])}"
        for kind, names in CREDENTIALS.items()
        for name in names
        if given[kind] and name not in given[kind]
    ]
    used = next((names for kind, names in CREDENTIALS.items() if len(given[kind]) == len(names)), ())
    if "ALIBABA_CLOUD_ECS_METADATA" in used:
        # The vendor's library takes this proxy even for the machine's own address, whatever NO_PROXY says.
        faults += [
            f"{name} would get the request for the machine's credentials (ALIBABA_CLOUD_ECS_METADATA) and its answer, "
            "in clear; unset it (the worker itself takes HTTPS_PROXY alone)"
            for name in ("HTTP_PROXY", "http_proxy")
            if os.environ.get(name)
        ]
        if os.environ.get("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "").lower() == "true":
            faults.append("ALIBABA_CLOUD_ECS_METADATA_DISABLED forbids what ALIBABA_CLOUD_ECS_METADATA asks for")
    return faults
