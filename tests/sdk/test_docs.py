"""The section for CRM developers of docs/simulator.md: its examples run as they stand, its table shows what happens."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from darabonba.exceptions import UnretryableException

from tests.sdk.vendor import CURRENT_V3, Access
from worker.simulator.config import DEMO_ACCOUNT
from worker.simulator.control import SimulatorControl

PAGE = (Path(__file__).resolve().parents[2] / "docs/simulator.md").read_text(encoding="utf-8")
TABLE = PAGE.partition("### The usual bad days")[2].partition("\n###")[0]
ROWS = dict(re.findall(r"^\| ([^|`]+) \| (`.+) \|$", TABLE, re.MULTILINE))


def example(language: str, word: str) -> str:
    """The one example of the page in this language that holds this word."""
    (code,) = [code for code in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if word in code]
    return str(code)


def run(word: str, **names: Any) -> dict[str, Any]:
    """Run the Python example with this word in it; what it has defined."""
    exec(compile(example("python", word), "docs/simulator.md", "exec"), names)  # noqa: S102
    return names


def bash(script: str, folder: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    """Run a script as somebody who has the project installed, and nothing set."""
    mine = ("ALIBABA_", "CCC_", "PYTEST_", "COV_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    return subprocess.run(
        ["bash", "-c", script],  # noqa: S607 - the reader's own
        cwd=folder,
        env=env | more,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.parametrize("word", ["alibabacloud_ccc20200701.client import", "aliyunsdkccc.request"])
@pytest.mark.parametrize("token", [None, "made up"])
def test_the_examples_press(
    simulator: SimulatorControl, monkeypatch: pytest.MonkeyPatch, word: str, token: str | None
) -> None:
    simulator.set_accounts({"id": DEMO_ACCOUNT.id, "secret": DEMO_ACCOUNT.secret, "token": token})
    monkeypatch.setenv("CCC_ENDPOINT", simulator.url)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", DEMO_ACCOUNT.id)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", DEMO_ACCOUNT.secret)
    monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", token or "")
    press: Callable[[str], None] = run(word)["press"]
    press("1")
    press("#")
    assert [heard["key"] for heard in simulator.heard()] == ["1", "#"]
    simulator.set_scene({"rules": [{"error": {"code": "NotExists.JobId", "status": 200}}]})
    with pytest.raises(RuntimeError, match=r"NotExists\.JobId"):
        press("2")


def test_the_example_with_a_simulator_in_a_thread() -> None:
    def send_something_to(url: str) -> None:
        for key in "12":
            CURRENT_V3.press(Access(url), Dtmf=key)

    run("with running(", send_something_to=send_something_to)


def test_the_job_for_ci(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "crm.py").write_text(example("python", "alibabacloud_ccc20200701.client import"))
    (tmp_path / "tests/test_crm.py").write_text(example("python", "from crm import press"))
    done = bash(example("bash", "dtmf simulator --port 0"), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_the_job_for_ci_ends_when_there_is_no_simulator(tmp_path: Path) -> None:
    broken = example("bash", "dtmf simulator --port 0").replace("--port 0", "--port 0 --scene missing.json")
    done = bash(broken, tmp_path)
    assert done.returncode != 0
    assert "missing.json" in done.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_controls_by_curl(simulator: SimulatorControl, tmp_path: Path) -> None:
    failing = 'set -e\ncurl() { command curl --fail --silent --show-error "$@"; echo; }\n'
    done = bash(failing + example("bash", "curl -X POST"), tmp_path, CCC_ENDPOINT=simulator.url)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line]
    assert answers[0] == {"reset": True}
    assert answers[-1]["settings"]["clock_offset"] == 3600


def test_the_table_is_read_whole() -> None:
    assert len(ROWS) == TABLE.count("\n|") - 2 > 10


@pytest.mark.parametrize("day", ROWS)
def test_a_bad_day_is_as_the_table_says(simulator: SimulatorControl, access: Access, day: str) -> None:
    rule, seen, heard, _ = (cell.strip() for cell in ROWS[day].split(" | "))
    simulator.set_scene({"rules": [json.loads(rule.strip("`"))]})
    patience = 100 if "answer_after" in rule else 60_000
    sdk = replace(CURRENT_V3, runtime={"read_timeout": patience})
    try:
        body = sdk.ask(access).body
        shown = "body is None" if body is None else f'body.code == "{body.code}"'
    except AlibabaCloudException as error:
        shown = error.code
    except UnretryableException as error:
        shown = type(error).__name__
    assert shown == seen.strip("`")
    end = time.monotonic() + 10
    while len(simulator.heard()) < int(heard) and time.monotonic() < end:
        time.sleep(0.01)
    assert len(simulator.heard()) == int(heard)
