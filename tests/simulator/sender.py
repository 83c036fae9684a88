"""A client of the tests' own: signs requests and sends them, so that a test can bend any part."""

import hashlib
import hmac
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import requests

from worker.simulator.config import DEMO_ACCOUNT

CHANNEL = "ch:customer:01089898989->13188888888:1609234221870:job-65735740600893440"
JOB = "job-65735740600893440"
PARAMETERS = {
    "ChannelId": CHANNEL,
    "DeviceId": "ACC-YUNBS-1.0.10-bse05179638553000176add4046f",
    "Dtmf": "5",
    "InstanceId": "ccc-test",
    "JobId": JOB,
    "UserId": "user-test@ccc-test",
}


def encode(text: str) -> str:
    return quote(text, safe="-_.~")


def query_of(pairs: dict[str, str]) -> str:
    return "&".join(f"{encode(name)}={encode(value)}" for name, value in sorted(pairs.items()))


def now(seconds: float = 0) -> str:
    """The time as a timestamp, or so many seconds after it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def v3(
    url: str,
    parameters: dict[str, str],
    headers: dict[str, str | None] | None = None,
    *,
    method: str = "POST",
    key_id: str = DEMO_ACCOUNT.id,
    secret: str = DEMO_ACCOUNT.secret,
    form: bool = False,
) -> requests.PreparedRequest:
    """A V3 request. ``headers`` are added before signing; None leaves one out."""
    body = query_of(parameters) if form else ""
    query = "" if form else query_of(parameters)
    digest = hashlib.sha256(body.encode()).hexdigest()
    all_headers: dict[str, str | None] = {
        "host": urlsplit(url).netloc,
        "x-acs-action": "SendDtmfSignaling",
        "x-acs-content-sha256": digest,
        "x-acs-date": now(),
        "x-acs-signature-nonce": uuid4().hex,
        "x-acs-version": "2020-07-01",
    }
    if form:
        all_headers["content-type"] = "application/x-www-form-urlencoded"
    all_headers |= headers or {}
    sent = {name: value for name, value in sorted(all_headers.items()) if value is not None}
    signed = ";".join(sent)
    lines = "".join(f"{name}:{value}\n" for name, value in sent.items())
    canonical = f"{method}\n/\n{query}\n{lines}\n{signed}\n{digest}"
    text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    sent["Authorization"] = f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={signed},Signature={signature}"
    request = requests.Request(method, url, headers=sent).prepare()
    request.url = f"{url}/?{query}" if query else f"{url}/"
    request.prepare_body(body, None)
    return request


def v1(
    url: str,
    parameters: dict[str, str],
    common: dict[str, str | None] | None = None,
    *,
    method: str = "POST",
    key_id: str = DEMO_ACCOUNT.id,
    secret: str = DEMO_ACCOUNT.secret,
    form: bool = False,
) -> requests.PreparedRequest:
    """A V1 request. ``common`` parameters are added before signing; None leaves one out."""
    own: dict[str, str | None] = {
        "AccessKeyId": key_id,
        "Action": "SendDtmfSignaling",
        "Format": "JSON",
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": uuid4().hex,
        "SignatureVersion": "1.0",
        "Timestamp": now(),
        "Version": "2020-07-01",
    }
    own |= common or {}
    pairs = {name: value for name, value in own.items() if value is not None}
    text = f"{method}&%2F&{encode(query_of(pairs | parameters))}"
    digest = hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()
    pairs["Signature"] = b64encode(digest).decode()
    request = requests.Request(method, url).prepare()
    if form:
        request.headers["content-type"] = "application/x-www-form-urlencoded"
    request.prepare_body(query_of(parameters) if form else "", None)
    request.url = f"{url}/?{query_of(pairs if form else pairs | parameters)}"
    return request


class Sender:
    """Sends to one simulator, each request as a fresh one unless told otherwise."""

    def __init__(self, url: str, *, verify: bool | str = True) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False
        self._verify = verify

    def close(self) -> None:
        self._session.close()

    def send(self, request: requests.PreparedRequest, timeout: float = 20) -> requests.Response:
        return self._session.send(request, timeout=timeout, allow_redirects=False, verify=self._verify)

    def press(self, key: str = "5", *, nonce: str | None = None, **parameters: str) -> requests.Response:
        """Press a key by a V3 request; ``parameters`` replace the usual ones."""
        headers: dict[str, str | None] = {} if nonce is None else {"x-acs-signature-nonce": nonce}
        return self.send(v3(self.url, PARAMETERS | {"Dtmf": key} | parameters, headers))


def code(answer: requests.Response) -> str:
    """The Code of an answer."""
    body: dict[str, Any] = answer.json()
    return str(body["Code"])
