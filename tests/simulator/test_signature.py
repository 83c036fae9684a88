"""The verifier against the vendor's own signatures."""

import json
from pathlib import Path
from typing import Any

import pytest
from multidict import CIMultiDict

from worker.simulator.config import SimulatorConfig
from worker.simulator.errors import Refusal
from worker.simulator.gateway import Account, Gateway
from worker.simulator.scene import Settings
from worker.simulator.signature import SignedRequest, percent_encode, read

Vector = dict[str, Any]
VECTORS: list[Vector] = json.loads((Path(__file__).parents[1] / "ccc" / "signing-vectors.json").read_bytes())["vectors"]
WHOLE = [vector for vector in VECTORS if "url" in vector]


def request_of(vector: Vector) -> SignedRequest:
    """The vector as it would come in."""
    if "url" in vector:
        target = vector["url"].split(vector["host"], 1)[1]
        return read(vector["method"], target, CIMultiDict(vector["headers"]), vector["body"].encode())
    pairs = vector["signed_params"] | {"Signature": vector["signature"]}
    query = "&".join(f"{percent_encode(name)}={percent_encode(value)}" for name, value in pairs.items())
    return read(vector["method"], f"/?{query}", CIMultiDict(), b"")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_the_vendors_signatures_are_accepted(vector: Vector) -> None:
    request = request_of(vector)
    assert request.string_to_sign == vector["string_to_sign"]
    assert request.signature == vector["signature"]
    request.verify(vector["access_key_secret"])


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_another_secret_is_refused(vector: Vector) -> None:
    with pytest.raises(Refusal) as refusal:
        request_of(vector).verify(vector["access_key_secret"] + "x")
    assert refusal.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("vector", WHOLE, ids=lambda vector: vector["name"])
def test_all_that_a_vector_says_is_read(vector: Vector) -> None:
    request = request_of(vector)
    assert vector["api_params"].items() <= request.parameters.items()
    assert request.access_key_id == vector["access_key_id"]
    assert request.security_token == (vector["security_token"] or "")
    assert (request.nonce, request.timestamp) == (vector["nonce"], vector["timestamp"])


@pytest.mark.parametrize("vector", WHOLE, ids=lambda vector: vector["name"])
def test_the_gateway_takes_each_vector_once(vector: Vector) -> None:
    account = Account(id=vector["access_key_id"], secret=vector["access_key_secret"], token=vector["security_token"])
    gateway = Gateway(Settings(), [account], clock=lambda: 1767323045.0, monotonic=lambda: 0.0)
    gateway.admit(request_of(vector), [])
    with pytest.raises(Refusal) as refusal:
        gateway.admit(request_of(vector), [])
    assert refusal.value.code == "SignatureNonceUsed"


def test_an_absolute_target_is_read_as_its_path() -> None:
    request = read("POST", "http://ccc.example:80/?Dtmf=%2A", CIMultiDict(), b"")
    assert (request.path, request.parameters) == ("/", {"Dtmf": "*"})


def test_text_that_is_not_utf8_is_refused() -> None:
    for target, body in (("/?Dtmf=%ff", b""), ("/", b"Dtmf=\xff")):
        headers = CIMultiDict({"Content-Type": "application/x-www-form-urlencoded"})
        with pytest.raises(Refusal) as refusal:
            read("POST", target, headers, body)
        assert refusal.value.code == "InvalidParameter"


def test_tls_needs_both_files() -> None:
    with pytest.raises(ValueError, match="go together"):
        SimulatorConfig(tls_cert=Path("cert.pem"))
