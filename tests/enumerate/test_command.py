"""The command itself."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.harness import until

STOPPED = 143


def ports(folder: Path) -> set[int]:
    """Of the servers that have begun to listen there."""
    logs = (log.read_text(encoding="utf-8", errors="replace") for log in folder.glob("*/valkey.log"))
    return {int(port) for log in logs for port in re.findall(r"port=(\d+)", log)}


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("when", ["while they start", "while it plays"])
def test_an_enumeration_that_is_told_to_stop_stops_its_servers_as_well(tmp_path: Path, when: str) -> None:
    command = [sys.executable, "-m", "tests.enumerate", "two stops"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until(lambda: list(tmp_path.glob("*/valkey.log")), "a server that starts")
        if when == "while it plays":
            until(lambda: ports(tmp_path) and all(map(is_open, ports(tmp_path))), "a server that runs")
        seen = ports(tmp_path)
        process.terminate()
        assert process.wait(30) == STOPPED
    # A server's folder goes when it has ended.
    until(lambda: not list(tmp_path.iterdir()), "every folder gone")
    until(lambda: not any(map(is_open, seen)), "every server ended")
