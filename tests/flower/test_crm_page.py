"""The example with curl of docs/from-your-crm.md runs as it stands."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.fleet.harness import Line
from tests.fleet.test_crm_page import KEYS, command, example, on_line
from tests.flower.conftest import Office
from tests.flower.pages import PASSWORD, USER


def press(office: Office, line: Line, folder: Path) -> dict[str, Any]:
    """What curl shows of the result."""
    command("curl")
    script = "set -e\n" + on_line(example("bash", "async-apply"), line).replace("dtmf:$", f"{USER}:$")
    env = {"PATH": os.environ["PATH"], "FLOWER": office.writable.url, "DTMF_FLOWER_PASSWORD": PASSWORD}
    done = subprocess.run(
        ["bash", "-c", script],  # noqa: S607 - the reader's own
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_example_with_curl_presses_and_reads_its_result(office: Office, tmp_path: Path) -> None:
    line = Line.new()
    answer = press(office, line, tmp_path)
    assert (answer["state"], answer["result"]["state"]) == ("SUCCESS", "sent")
    heard = office.scene.control.heard(office.scene.since_heard)
    assert "".join(event["key"] for event in heard if event["channel_id"] == line.channel_id) == KEYS


def test_the_example_with_curl_reads_that_the_call_is_over(office: Office, tmp_path: Path) -> None:
    line = Line.new()
    office.scene.rule(line, error={"code": "NotExists.JobId", "status": 404})
    answer = press(office, line, tmp_path)
    assert answer["state"] == "FAILURE"
    assert answer["result"].startswith("Gone(")
