"""Checks of the way to the API. No request is signed, and none presses a key."""

import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ProxyError, SSLError

from worker.ccc.endpoint import Endpoint, settle_endpoint
from worker.ccc.errors import BadEndpoint
from worker.ccc.names import Names
from worker.cli.checks.finding import Finding, Level, Patient

_DNS_S = 5.0
# A gateway or a proxy that says so has not reached the API.
_NOT_THE_API = {407, 502, 503, 504}
_CLOCK_WARNING_S = 60.0
# The API refuses a request that was signed 15 minutes off.
_CLOCK_FAULT_S = 600.0


def api(patient: Patient) -> Iterator[Finding]:
    """Name, connection, TLS and an answer, through the proxy if there is one."""
    patient.out_of_reach["api"] = "the API was not reached"
    if patient.wrong & {"CCC_ENDPOINT", "CCC_REGION"}:
        yield Finding("api", Level.SKIPPED, "because CCC_ENDPOINT is wrong")
        return
    try:
        endpoint = settle_endpoint(patient.settings.endpoint, patient.settings.CCC_CA_BUNDLE)
    except BadEndpoint as error:
        yield Finding("api", Level.FAULT, str(error))
        return
    proxy = endpoint.proxies.get("https")
    first = urlsplit(proxy or endpoint.url)
    host, port = first.hostname or "", first.port or (443 if first.scheme == "https" else 80)
    via = f" through the proxy {host}:{port}" if proxy else ""
    where = f"{endpoint.url.rstrip('/')}{via}"
    try:
        Names().look_up(host, port, _DNS_S)
    except OSError:
        do = "correct HTTPS_PROXY, or DNS" if proxy else "correct CCC_ENDPOINT or CCC_REGION, or this machine's DNS"
        yield Finding("api", Level.FAULT, f"{where}: the name {host} cannot be resolved", do)
        return
    try:
        status, date, took = _knock(patient, endpoint)
    except (HTTPError, OSError) as error:
        text, do = _explain(error)
        yield Finding("api", Level.FAULT, f"{where}: {text}", do)
        return
    if status in _NOT_THE_API:
        do = "a proxy or gateway on the way answers for the API; look there"
        yield Finding("api", Level.FAULT, f"{where}: HTTP {status}", do)
        return
    yield Finding("api", Level.OK, f"{where} answers in {took * 1000:.0f} ms", data={"http_status": status})
    if date is None:
        patient.out_of_reach["api"] = "the API's answer has no Date"
    else:
        patient.api_ahead_s = date
        del patient.out_of_reach["api"]


def api_clock(patient: Patient) -> Iterator[Finding]:
    """The clock by which requests are signed, Redis's, and the API's agree."""
    ahead = patient.api_ahead_s or 0.0
    signer = "this machine" if patient.redis_ahead_s is None else "Redis"
    ahead -= patient.redis_ahead_s or 0.0
    text = f"{signer} and the API differ by {abs(ahead):.0f} s"
    data = {"api_ahead_s": round(ahead)}
    if abs(ahead) <= _CLOCK_WARNING_S:
        yield Finding("api clock", Level.OK, text, data=data)
        return
    level = Level.FAULT if abs(ahead) > _CLOCK_FAULT_S else Level.WARNING
    do = f"set the clock of {signer} by NTP: requests are signed by it, and refused if it is 15 minutes off"
    yield Finding("api clock", level, text, do, data)


def _knock(patient: Patient, endpoint: Endpoint) -> tuple[int, float | None, float]:
    """HTTP status, by how many seconds the API's clock is ahead of this machine's, and how long it took."""
    settings = patient.settings
    timeout = urllib3.Timeout(
        connect=settings.DTMF_CONNECT_TIMEOUT_MS / 1000,
        read=settings.DTMF_READ_TIMEOUT_MS / 1000,
        total=settings.DTMF_TOTAL_TIMEOUT_MS / 1000,
    )
    proxy = endpoint.proxies.get("https")
    manager: urllib3.PoolManager
    if proxy:
        headers = HTTPAdapter().proxy_headers(proxy)
        manager = urllib3.ProxyManager(
            proxy, proxy_headers=headers, ssl_context=endpoint.tls, proxy_ssl_context=endpoint.tls
        )
    else:
        manager = urllib3.PoolManager(ssl_context=endpoint.tls)
    with manager:
        before = time.time()
        began = time.perf_counter()
        answer = manager.request(
            "GET", endpoint.url, headers={"host": endpoint.host}, retries=False, redirect=False, timeout=timeout
        )
        took = time.perf_counter() - began
        try:
            said = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        except ValueError:
            return answer.status, None, took
        # The header is cut to whole seconds.
        return answer.status, said + 0.5 - (before + took / 2), took


def _explain(error: BaseException) -> tuple[str, str]:
    """What failed and what to do; never the error's text, which may hold a proxy's password."""
    if isinstance(error, ProxyError):
        return "the proxy does not let it through", "correct HTTPS_PROXY, or have the proxy allow the host"
    if isinstance(error, SSLError):
        cause = error.args[0] if error.args else None
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted ({cause.verify_message})", "see CCC_CA_BUNDLE, or who is on the way"
        return "TLS failed", "see whether CCC_ENDPOINT is right, and who is on the way"
    do = "let this machine out to that address (firewall, HTTPS_PROXY)"
    cause = error.__cause__ or error.__context__ or error
    if isinstance(cause, ConnectionRefusedError):
        return "the connection is refused", do
    return f"no answer ({type(cause).__name__})", do
