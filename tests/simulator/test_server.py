"""The simulator as a program and as a library: HTTPS, the command, its file, its control API."""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
import requests
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.simulator.sender import CHANNEL, PARAMETERS, Sender, code, v3
from worker.cli.simulator import simulator as command
from worker.simulator.config import SimulatorConfig
from worker.simulator.control import SimulatorControl, SimulatorError
from worker.simulator.server import running, start


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


def test_https(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    with running(SimulatorConfig(tls_cert=cert, tls_key=key)) as control:
        assert control.url.startswith("https://127.0.0.1:")
        sender = Sender(control.url, verify=str(cert))
        assert code(sender.press()) == "OK"
        control.set_scene({"rules": [{"drop": {"when": "after", "how": "reset"}}]})
        with pytest.raises(requests.ConnectionError):
            sender.press()
        sender.close()
        assert len(control.heard()) == 2


def test_the_end_of_https_leaves_no_connection_behind(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    with running(SimulatorConfig(tls_cert=cert, tls_key=key)) as control:
        sender = Sender(control.url, verify=str(cert))
        sender.press()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gc.collect()
    sender.close()
    port = control.url.rpartition(":")[2]
    assert [warning for warning in caught if port in str(warning.message)] == []


def test_it_can_run_in_the_loop_of_its_caller() -> None:
    async def scene() -> str:
        simulator = await start(SimulatorConfig())
        sender = Sender(simulator.url)
        answer = await asyncio.to_thread(sender.press)
        sender.close()
        await simulator.stop()
        return code(answer)

    assert asyncio.run(scene()) == "OK"


def test_a_port_that_is_taken(simulator: SimulatorControl) -> None:
    port = int(simulator.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="address already in use"), running(SimulatorConfig(port=port)):
        pass


def test_the_file_holds_what_was_heard_and_asked(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with running(SimulatorConfig(log_file=path)) as control:
        sender = Sender(control.url)
        sender.press("7")
        sender.close()
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(entry["event"], entry["seq"]) for entry in entries] == [("heard", 1), ("request", 1)]
    assert (entries[0]["key"], entries[0]["channel_id"]) == ("7", CHANNEL)


def test_health_and_unknown_controls(simulator: SimulatorControl) -> None:
    assert simulator.health()["ok"] is True
    answer = requests.get(f"{simulator.url}/_sim/herd", timeout=20)
    assert (answer.status_code, "GET /_sim/heard" in answer.json()["error"]) == (404, True)


def test_the_logs_can_be_read_as_lines(simulator: SimulatorControl, sender: Sender) -> None:
    for key in "123":
        sender.press(key)
    answer = requests.get(f"{simulator.url}/_sim/heard?since=1&limit=1&format=lines", timeout=20)
    assert [json.loads(line)["key"] for line in answer.text.splitlines()] == ["2"]
    assert requests.get(f"{simulator.url}/_sim/heard?sinc=1", timeout=20).status_code == 422


def test_long_logs_come_in_pages(simulator: SimulatorControl, sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.simulator.control._PAGE", 2)
    for key in "12345":
        sender.press(key)
    assert [heard["key"] for heard in simulator.heard()] == list("12345")


def test_a_call_with_a_typo(simulator: SimulatorControl) -> None:
    with pytest.raises(SimulatorError, match="endafter"):
        simulator.register_call(CHANNEL, "job", endafter=3)
    with pytest.raises(SimulatorError, match="gone"):
        simulator.end_call(CHANNEL, "job", gone="everything")


def test_a_long_channel_id(simulator: SimulatorControl, sender: Sender) -> None:
    long = "ch:" + "x" * 20_000
    assert code(sender.press(ChannelId=long)) == "OK"
    assert simulator.heard()[0]["channel_id"] == long


def test_a_channel_id_of_any_characters(simulator: SimulatorControl, sender: Sender) -> None:
    odd = 'ch:"\\\n\x7f{}设备 1+~/é\U0001f4de9007199254740991'
    answer = sender.press(ChannelId=odd)
    assert answer.json()["Data"]["CallContext"]["ChannelContexts"][0]["ChannelId"] == odd
    assert simulator.heard()[0]["channel_id"] == odd


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    scene = tmp_path / "scene.json"
    scene.write_text(json.dumps({"rules": [{"error": {"code": "InternalError"}, "match": {"times": 1}}]}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ALIBABA_", "CCC_"))}
    with subprocess.Popen(
        [sys.executable, "-m", "worker.simulator", "--port", "0", "--scene", str(scene), "--strict"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command(program: subprocess.Popen[str], number: signal.Signals) -> None:
    assert program.stdout is not None
    first = program.stdout.readline()
    assert first.startswith("simulator listening on http://127.0.0.1:")
    url = first.split()[-1]
    printed = [program.stdout.readline() for _ in range(5)]
    assert f"  export CCC_ENDPOINT={url}\n" in printed
    sender = Sender(url)
    with SimulatorControl(url) as control:
        control.register_call(CHANNEL, PARAMETERS["JobId"])
    assert [code(sender.press()) for _ in range(2)] == ["InternalError", "OK"]
    assert code(sender.press(JobId="unknown")) == "NotExists.JobId"
    sender.close()
    program.send_signal(number)
    rest, errors = program.communicate(timeout=30)
    assert (program.returncode, rest, errors) == (0, "", "")


def test_the_command_ends_though_a_request_is_on_its_way(program: subprocess.Popen[str]) -> None:
    assert program.stdout is not None
    url = program.stdout.readline().split()[-1]
    with SimulatorControl(url) as control:
        control.set_scene({"rules": [{"answer_after": 3600}]})
    sender = Sender(url)
    with pytest.raises(requests.Timeout):
        sender.send(v3(url, PARAMETERS), timeout=0.3)
    sender.close()
    program.terminate()
    assert program.wait(timeout=30) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--access-key-id", "only"], "both its id and its secret"),
        (["--tls-cert", __file__], "go together"),
        (["--quota", "0"], "--quota"),
        (["--scene", __file__], "test_server.py"),
    ],
)
def test_the_command_says_what_is_wrong(arguments: list[str], message: str) -> None:
    result = CliRunner(env={"ALIBABA_CLOUD_ACCESS_KEY_SECRET": ""}).invoke(command, arguments)
    assert (result.exit_code, message in result.output) == (2, True)


def test_the_command_says_that_the_port_is_taken(simulator: SimulatorControl) -> None:
    port = simulator.url.rsplit(":", 1)[1]
    result = CliRunner().invoke(command, ["--port", port])
    assert (result.exit_code, f"cannot listen on 127.0.0.1 port {port}" in result.output) == (1, True)
