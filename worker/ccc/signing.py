"""Both signatures of the API: V3 (ACS3-HMAC-SHA256) and V1 (RPC, HMAC-SHA1).

Source: the vendor's pages on "V3 request signing" and "RPC signature mechanism"; the test vectors come from
the code of the vendor's SDKs. Nonce and signing time come from the caller, for whom both belong to an attempt
and not to a request: a resend carries them unchanged.
"""

import base64
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from worker.ccc.credentials import Credentials

Signature = Literal["v3", "v1"]
"""v3 is ACS3-HMAC-SHA256, v1 is RPC HMAC-SHA1."""

ACTION = "SendDtmfSignaling"
VERSION = "2020-07-01"

_V3_ALGORITHM = "ACS3-HMAC-SHA256"
_EMPTY_BODY_SHA256 = hashlib.sha256(b"").hexdigest()

_RESERVED = re.compile(rb"[^A-Za-z0-9_.~-]")
_ESCAPES = {bytes([byte]): b"%%%02X" % byte for byte in range(256)}


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one attempt from another: its nonce, and when it was signed in seconds since 1970 (UTC)."""

    nonce: str
    signed_at: int

    @property
    def timestamp(self) -> str:
        """signed_at as the API writes a moment: 2026-01-02T03:04:05Z."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.signed_at))


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request ready to be sent as ``POST`` with an empty body; its repr shows nothing of it."""

    target: str = field(repr=False)
    """Path and query string, percent-encoded."""
    headers: dict[str, str] = field(repr=False)
    """Every header that the signature needs, names in lower case; empty for V1."""


def sign_request(
    signature: Signature,
    params: Mapping[str, str],
    credentials: Credentials,
    stamp: Stamp,
    *,
    host: str,
) -> SignedRequest:
    """Sign one call of SendDtmfSignaling.

    params are the API's own parameters, host is the Host header exactly as it will be sent.
    """
    if signature == "v1":
        signed = v1_params(params, credentials, stamp)
        return SignedRequest("/?" + canonical_query(signed), {})
    query = canonical_query(params)
    headers = v3_headers(credentials, stamp, host=host)
    headers["authorization"] = v3_authorization("POST", "/", query, headers, credentials)
    return SignedRequest("/?" + query, headers)


def percent_encode(text: str) -> str:
    """UTF-8, everything but ``A-Z a-z 0-9 - _ . ~`` as %XX (a space is %20), as both signatures want it."""
    # urllib's quote goes byte by byte and costs a third of the whole signature.
    if text.isalnum() and text.isascii():
        return text
    return _RESERVED.sub(lambda match: _ESCAPES[match[0]], text.encode()).decode("ascii")


def canonical_query(params: Mapping[str, str]) -> str:
    """The parameters sorted by name and percent-encoded: both what is signed and what is sent."""
    return "&".join([f"{percent_encode(name)}={percent_encode(params[name])}" for name in sorted(params)])


def v3_headers(
    credentials: Credentials, stamp: Stamp, *, host: str, content_type: str = "", body: bytes = b""
) -> dict[str, str]:
    """The headers that V3 signs, names in lower case; content_type goes with a body and is signed with it."""
    headers = {
        "host": host,
        "x-acs-action": ACTION,
        "x-acs-content-sha256": _sha256(body),
        "x-acs-date": stamp.timestamp,
        "x-acs-signature-nonce": stamp.nonce,
        "x-acs-version": VERSION,
    }
    if content_type:
        headers["content-type"] = content_type
    if credentials.security_token is not None:
        headers["x-acs-accesskey-id"] = credentials.access_key_id
        headers["x-acs-security-token"] = credentials.security_token
    return headers


def v3_canonical_request(method: str, path: str, query: str, headers: Mapping[str, str], signed: Iterable[str]) -> str:
    """The text whose digest V3 signs; signed are the names of the headers to sign, in order."""
    lines = "".join([f"{name}:{headers[name].strip()}\n" for name in signed])
    return f"{method}\n{path}\n{query}\n{lines}\n{';'.join(signed)}\n{headers['x-acs-content-sha256']}"


def v3_authorization(method: str, path: str, query: str, headers: Mapping[str, str], credentials: Credentials) -> str:
    """The Authorization header that signs all of headers (names in lower case) and the query string."""
    signed = sorted(headers)
    canonical = v3_canonical_request(method, path, query, headers, signed)
    to_sign = f"{_V3_ALGORITHM}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    mac = hmac.digest(credentials.access_key_secret.encode(), to_sign.encode(), "sha256").hex()
    return f"{_V3_ALGORITHM} Credential={credentials.access_key_id},SignedHeaders={';'.join(signed)},Signature={mac}"


def v1_params(
    params: Mapping[str, str],
    credentials: Credentials,
    stamp: Stamp,
    *,
    body_params: Mapping[str, str] | None = None,
    method: str = "POST",
) -> dict[str, str]:
    """The query parameters of a V1 request: params, the common ones and the Signature.

    body_params are those that go in a form body: they are signed with the others but not returned.
    """
    query = {
        "Action": ACTION,
        "Format": "JSON",
        "Version": VERSION,
        **params,
        "AccessKeyId": credentials.access_key_id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureNonce": stamp.nonce,
        "SignatureVersion": "1.0",
        "Timestamp": stamp.timestamp,
    }
    if credentials.security_token is not None:
        query["SecurityToken"] = credentials.security_token
    query["Signature"] = v1_signature(method, {**query, **(body_params or {})}, credentials.access_key_secret)
    return query


def v1_string_to_sign(method: str, params: Mapping[str, str]) -> str:
    """The text that V1 signs: all parameters of query string and form body together."""
    # Only these three characters of a canonical query need the second encoding.
    query = canonical_query(params).replace("%", "%25").replace("=", "%3D").replace("&", "%26")
    return f"{method}&%2F&{query}"


def v1_signature(method: str, params: Mapping[str, str], access_key_secret: str) -> str:
    """The V1 signature in base64 of all parameters except Signature itself."""
    # SHA-1 is what V1 is; as an HMAC it is not known to be broken.
    mac = hmac.digest(f"{access_key_secret}&".encode(), v1_string_to_sign(method, params).encode(), "sha1")
    return base64.b64encode(mac).decode("ascii")


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest() if body else _EMPTY_BODY_SHA256
