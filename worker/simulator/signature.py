"""Reading and verifying signed requests: V3 (ACS3-HMAC-SHA256) and V1 (RPC, HMAC-SHA1).

Written from the vendor's documents alone and on purpose not shared with the client in ``worker.ccc``: two
implementations that were written apart check each other.
"""

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from urllib.parse import quote, unquote_plus, urlsplit

from worker.simulator.errors import Refusal

V3 = "ACS3-HMAC-SHA256"
_AUTHORIZATION = re.compile(r"\s*,?\s*(Credential|SignedHeaders|Signature)=([^,\s]*)")
# What the vendor's V3 document names as public headers: each is required, and each must be signed.
_V3_SIGNED = frozenset(
    ["host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"]
)
_FORM = "application/x-www-form-urlencoded"
_BY_NAME = attrgetter("name", "value")
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(slots=True)
class SignedRequest:
    """What the gateway reads off a request before it trusts any of it.

    ``parameters`` are the API's own and, in V1, the common ones too. ``string_to_sign`` is what this server
    would sign; ``signature`` is what the request carries. An attribute that the request lacks is empty.
    """

    version: str
    method: str
    path: str
    parameters: dict[str, str]
    action: str = ""
    api_version: str = ""
    access_key_id: str = ""
    security_token: str = ""
    nonce: str = ""
    timestamp: str = ""
    signature: str = ""
    string_to_sign: str = ""
    host: str = ""
    content_matches: bool = True
    well_formed: bool = True
    unsigned: list[str] = field(default_factory=list)

    def verify(self, secret: str) -> None:
        """Raise `Refusal` (IncompleteSignature, SignatureDoesNotMatch) unless ``secret`` made it."""
        if not self.well_formed or not self.signature or self.unsigned:
            raise Refusal("IncompleteSignature")
        text = self.string_to_sign.encode("utf-8", "surrogateescape")
        if self.version == V3:
            expected = hmac.digest(secret.encode(), text, "sha256").hex()
        else:
            expected = b64encode(hmac.digest(secret.encode() + b"&", text, "sha1")).decode()
        given = self.signature.encode("utf-8", "surrogateescape")
        if not self.content_matches or not hmac.compare_digest(expected.encode(), given):
            raise Refusal("SignatureDoesNotMatch", self._mismatch())

    def _mismatch(self) -> str:
        """The gateway's own message, which quotes the string to sign, phone numbers and all."""
        if self.version == V3:
            return f"Specified signature does not match our calculation. server StringToSign is [{self.string_to_sign}]"
        return (
            f"Specified signature is not matched with our calculation. server string to sign is:{self.string_to_sign}"
        )


def read(method: str, target: str, headers: Mapping[str, str], body: bytes) -> SignedRequest:
    """Read a request as it stood on the wire.

    ``target`` is the request target (path and query, or an absolute URL as a proxy is sent), ``headers`` look
    their names up without regard to case. Raises `Refusal` where the text cannot be decoded.
    """
    if not target.startswith("/"):
        parts = urlsplit(target)
        path, query = parts.path or "/", parts.query
    else:
        path, _, query = target.partition("?")
    authorization = headers.get("authorization")
    try:
        in_query = [_field(part) for part in query.split("&") if part]
        in_body = _form(headers, body)
    except UnicodeDecodeError:
        raise Refusal("InvalidParameter", "The request is not valid UTF-8.") from None
    if authorization is None and "x-acs-signature-nonce" in headers:  # V3 whose signature got lost
        authorization = ""
    if authorization is not None:
        return _read_v3(method, path, in_query, in_body, headers, body, authorization)
    return _read_v1(method, path, in_query + in_body, headers)


def percent_encode(text: str) -> str:
    """Encode as both signatures want it: UTF-8, and nothing left alone but letters, digits and ``-_.~``."""
    return quote(text, safe="-_.~")


@dataclass(frozen=True, slots=True)
class _Field:
    """A parameter, and how it reads in what is signed."""

    name: str
    value: str
    canonical: str


@lru_cache(maxsize=8192)  # most of a request is as in the one before, and decoding it is a third of all work
def _field(part: str) -> _Field:
    name, _, value = part.partition("=")
    name, value = unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
    return _Field(name, value, f"{percent_encode(name)}={percent_encode(value)}")


def _form(headers: Mapping[str, str], body: bytes) -> list[_Field]:
    if not body or not headers.get("content-type", "").lower().startswith(_FORM):
        return []
    return [_field(part) for part in body.decode().split("&") if part]


def _canonical_query(fields: list[_Field]) -> str:
    return "&".join([field.canonical for field in sorted(fields, key=_BY_NAME)])


def _read_v3(  # noqa: PLR0917 - the parts of one request
    method: str,
    path: str,
    in_query: list[_Field],
    in_body: list[_Field],
    headers: Mapping[str, str],
    body: bytes,
    authorization: str,
) -> SignedRequest:
    scheme, _, rest = authorization.strip().partition(" ")
    parts = dict(_AUTHORIZATION.findall(rest))
    names = parts.get("SignedHeaders", "").split(";")
    digest = hashlib.sha256(body).hexdigest() if body else _EMPTY_SHA256
    signed = "".join([f"{name}:{headers.get(name, '').strip()}\n" for name in names])
    canonical = "\n".join((method, path, _canonical_query(in_query), signed, ";".join(names), digest))
    hashed = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return SignedRequest(
        version=V3,
        method=method,
        path=path,
        parameters={field.name: field.value for field in in_query + in_body},
        action=headers.get("x-acs-action", ""),
        api_version=headers.get("x-acs-version", ""),
        access_key_id=parts.get("Credential", ""),
        security_token=headers.get("x-acs-security-token", ""),
        nonce=headers.get("x-acs-signature-nonce", ""),
        timestamp=headers.get("x-acs-date", ""),
        signature=parts.get("Signature", ""),
        string_to_sign=f"{V3}\n{hashed}",
        host=headers.get("host", ""),
        content_matches=headers.get("x-acs-content-sha256", "") == digest,
        well_formed=scheme == V3 and names == sorted(names),
        unsigned=_unsigned(names, headers, body),
    )


def _unsigned(names: list[str], headers: Mapping[str, str], body: bytes) -> list[str]:
    """The headers that V3 wants signed and this request left out of its list."""
    wanted = _to_sign(tuple(headers))
    if body and "content-type" in headers:
        wanted |= {"content-type"}
    return sorted(wanted.difference(names))


@lru_cache(maxsize=256)
def _to_sign(names: tuple[str, ...]) -> frozenset[str]:
    return _V3_SIGNED | {low for name in names if (low := name.lower()).startswith("x-acs-")}


def _read_v1(method: str, path: str, fields: list[_Field], headers: Mapping[str, str]) -> SignedRequest:
    parameters = {field.name: field.value for field in fields}
    query = _canonical_query([field for field in fields if field.name != "Signature"])
    right_method = parameters.get("SignatureMethod", "") == "HMAC-SHA1"
    return SignedRequest(
        version="1.0",
        method=method,
        path=path,
        parameters=parameters,
        action=parameters.get("Action", ""),
        api_version=parameters.get("Version", ""),
        access_key_id=parameters.get("AccessKeyId", ""),
        security_token=parameters.get("SecurityToken", ""),
        nonce=parameters.get("SignatureNonce", ""),
        timestamp=parameters.get("Timestamp", ""),
        signature=parameters.get("Signature", ""),
        string_to_sign=f"{method}&%2F&{percent_encode(query)}",
        host=headers.get("host", ""),
        well_formed=right_method and parameters.get("SignatureVersion", "") == "1.0",
    )
