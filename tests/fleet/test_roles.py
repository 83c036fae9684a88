"""Workers that sign with the role of a Kubernetes service account; a server stands in for STS."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.fleet.conftest import GroundMaker
from tests.fleet.harness import Ground, Line, Scene, Simulator, until
from worker.local.processes import ACCESS_KEY_ID, ACCESS_KEY_SECRET

PERMANENT = {"id": ACCESS_KEY_ID, "secret": ACCESS_KEY_SECRET}
GIVEN = [{"id": f"STS.key-{n}", "secret": f"S3cretMarker-{n}", "token": f"T0kenMarker-{n}"} for n in range(40)]
# Not a setting: nobody but this test has an STS of its own.
POINTER = """
import os
from alibabacloud_credentials.provider.oidc import OIDCRoleArnCredentialsProvider as Provider
init = Provider.__init__
Provider.__init__ = lambda self, **options: init(self, **{**options, "sts_endpoint": os.environ["STS_OF_THE_TEST"]})
"""


class Sts(ThreadingHTTPServer):
    """Gives the next credentials to each that asks, for 20 s, while it is up."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Desk)
        self.up = True
        self.tokens: list[str] = []
        self.answers = 0


class _Desk(BaseHTTPRequestHandler):
    server: Sts

    def do_GET(self) -> None:
        self.server.tokens += parse_qs(urlsplit(self.path).query)["OIDCToken"]
        if not self.server.up:
            self.send_error(503)
            return
        given = GIVEN[self.server.answers]
        self.server.answers += 1
        credentials = {
            "AccessKeyId": given["id"],
            "AccessKeySecret": given["secret"],
            "SecurityToken": given["token"],
            "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 20)),
        }
        body = json.dumps({"RequestId": "AB-1", "Credentials": credentials}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the tests' output."""


@pytest.fixture
def sts(simulator: Simulator) -> Iterator[Sts]:
    simulator.control.set_accounts(PERMANENT, *GIVEN)
    with Sts() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    simulator.control.set_accounts(PERMANENT)


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("0idcMarker-1")
    return path


@pytest.fixture
def ground(new_ground: GroundMaker, sts: Sts, token_file: Path) -> Ground:
    token_file.with_name("sitecustomize.py").write_text(POINTER)
    return new_ground(
        DTMF_CONCURRENCY=2,
        ALIBABA_CLOUD_ACCESS_KEY_ID="",
        ALIBABA_CLOUD_ACCESS_KEY_SECRET="",
        ALIBABA_CLOUD_ROLE_ARN="acs:ram::1:role/dtmf",
        ALIBABA_CLOUD_OIDC_PROVIDER_ARN="acs:ram::1:oidc-provider/ack",
        ALIBABA_CLOUD_OIDC_TOKEN_FILE=token_file,
        PYTHONPATH=token_file.parent,
        STS_OF_THE_TEST=f"http://127.0.0.1:{sts.server_port}",
    )


def test_credentials_are_replaced_while_a_worker_runs(ground: Ground, sts: Sts, token_file: Path) -> None:
    ground.start("one")
    scene, line = Scene(ground), Line.new()
    assert scene.send(line, "12").get(timeout=30)["state"] == "sent"
    token_file.write_text("0idcMarker-2")
    before = sts.answers
    until(lambda: "0idcMarker-2" in sts.tokens and sts.answers > before, "the worker asked again")
    until(lambda: ground.logs().count("credentials from") > before, "the worker has the new ones")
    assert scene.send(line, "3#").get(timeout=30)["state"] == "sent"
    keys = [event["access_key_id"] for event in scene.requests(line)]
    assert keys[0] in {given["id"] for given in GIVEN}
    assert keys[-1] != keys[0]
    assert scene.verdict(complete=True).broken == []
    assert not any(secret in ground.logs() for secret in ("S3cretMarker", "T0kenMarker", "0idcMarker"))


def test_a_worker_starts_while_sts_is_down_says_so_and_works_once_it_is_up(ground: Ground, sts: Sts) -> None:
    sts.up = False
    (worker,) = ground.start("one")
    said = "no credentials from the Kubernetes service account's role (ALIBABA_CLOUD_ROLE_ARN): STS refuses (HTTP 503)"
    until(lambda: said in worker.output(), "the worker says what is wrong")
    sts.up = True
    until(lambda: "valid for" in worker.output(), "the worker has credentials")
    scene, line = Scene(ground), Line.new()
    assert scene.send(line, "1").get(timeout=30)["state"] == "sent"
    assert "0idcMarker" not in worker.output()
    assert worker.stop() == 0
