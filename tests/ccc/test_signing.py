"""Both signatures against what the vendor's own code signs."""

import calendar
import json
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.ccc.credentials import Credentials
from worker.ccc.signing import (
    Stamp,
    canonical_query,
    percent_encode,
    sign_request,
    v1_params,
    v1_signature,
    v1_string_to_sign,
    v3_authorization,
    v3_canonical_request,
    v3_headers,
)

Vector = dict[str, Any]

VECTORS: list[Vector] = json.loads(Path(__file__).with_name("signing-vectors.json").read_text("utf-8"))["vectors"]
V3 = [vector for vector in VECTORS if vector["algorithm"] == "ACS3-HMAC-SHA256"]
V1 = [vector for vector in VECTORS if vector["algorithm"] == "RPC-V1 HMAC-SHA1"]
MINIMAL_V3 = [vector for vector in V3 if vector["name"].startswith("acs3/minimal")]
TEA_V1 = [vector for vector in V1 if vector["name"].startswith("rpc-v1/tea")]


def _name(vector: Vector) -> str:
    name: str = vector["name"]
    return name


def _credentials(vector: Vector) -> Credentials:
    return Credentials(vector["access_key_id"], vector["access_key_secret"], vector["security_token"])


def _stamp(vector: Vector) -> Stamp:
    moment = time.strptime(vector["timestamp"], "%Y-%m-%dT%H:%M:%SZ")
    return Stamp(vector["nonce"], calendar.timegm(moment))


def _query(vector: Vector) -> str:
    return canonical_query({} if vector["body"] else vector["api_params"])


def test_every_vector_is_tested() -> None:
    assert len(VECTORS) == 29
    assert len(V3) + len(V1) == 29


@pytest.mark.parametrize("vector", V3, ids=_name)
def test_v3_signs_any_set_of_headers_as_the_vendor_does(vector: Vector) -> None:
    names = vector["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    headers = {name: vector["headers"][name] for name in names}
    canonical = v3_canonical_request("POST", "/", _query(vector), headers, names)
    assert canonical == vector["canonical_request"]
    authorization = v3_authorization("POST", "/", _query(vector), headers, _credentials(vector))
    assert authorization == vector["authorization"]


@pytest.mark.parametrize("vector", MINIMAL_V3, ids=_name)
def test_v3_headers_are_those_of_the_vendors_code(vector: Vector) -> None:
    content_type = vector["headers"].get("content-type", "")
    headers = v3_headers(
        _credentials(vector),
        _stamp(vector),
        host=vector["host"],
        content_type=content_type,
        body=vector["body"].encode(),
    )
    headers["Authorization"] = v3_authorization("POST", "/", _query(vector), headers, _credentials(vector))
    assert headers == vector["headers"]


@pytest.mark.parametrize("vector", [one for one in MINIMAL_V3 if not one["body"]], ids=_name)
def test_a_v3_request_is_the_vendors(vector: Vector) -> None:
    signed = sign_request("v3", vector["api_params"], _credentials(vector), _stamp(vector), host=vector["host"])
    assert signed.headers.pop("authorization") == vector["authorization"]
    assert signed.headers == {name: text for name, text in vector["headers"].items() if name != "Authorization"}
    assert dict(parse_qsl(urlsplit(signed.target).query)) == vector["api_params"]


@pytest.mark.parametrize("vector", V1, ids=_name)
def test_v1_signs_any_set_of_parameters_as_the_vendor_does(vector: Vector) -> None:
    params = vector["signed_params"]
    assert v1_string_to_sign(vector["method"], params) == vector["string_to_sign"]
    assert v1_signature(vector["method"], params, vector["access_key_secret"]) == vector["signature"]


@pytest.mark.parametrize("vector", TEA_V1, ids=_name)
def test_v1_parameters_are_those_of_the_vendors_code(vector: Vector) -> None:
    in_body = bool(vector["body"])
    # The vendor's code writes Format in small letters; a caller's parameter goes before the common one.
    params = {"Format": "json"} | ({} if in_body else vector["api_params"])
    body_params = vector["api_params"] if in_body else None
    signed = v1_params(params, _credentials(vector), _stamp(vector), body_params=body_params)
    assert signed == dict(parse_qsl(urlsplit(vector["url"]).query, keep_blank_values=True))


def test_a_v1_request_carries_its_signature_in_the_query() -> None:
    vector = next(one for one in TEA_V1 if one["name"].endswith("digit-5-sts"))
    signed = sign_request("v1", vector["api_params"], _credentials(vector), _stamp(vector), host=vector["host"])
    query = dict(parse_qsl(urlsplit(signed.target).query))
    signature = query.pop("Signature")
    assert signed.headers == {}
    assert query["SecurityToken"] == vector["security_token"]
    assert signature == v1_signature("POST", query, vector["access_key_secret"])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_percent_encoding_keeps_unreserved_ascii_alone(text: str) -> None:

    assert percent_encode(text) == quote(text, safe="-_.~")


@given(st.dictionaries(st.text("aZ9=&% *é"), st.text("aZ9=&%+ ~é"), max_size=4))
def test_the_second_encoding_of_v1_equals_encoding_the_whole_query(params: dict[str, str]) -> None:
    assert v1_string_to_sign("POST", params) == f"POST&%2F&{percent_encode(canonical_query(params))}"


def test_a_signed_request_shows_nothing_of_itself() -> None:
    vector = V1[0]
    signed = sign_request("v1", vector["api_params"], _credentials(vector), _stamp(vector), host=vector["host"])
    assert repr(signed) == "SignedRequest()"
