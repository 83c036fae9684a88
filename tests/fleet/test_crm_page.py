"""docs/from-your-crm.md: its examples run as they stand, in the languages that this machine has."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.foreign import kwargs_of, note, other_celery
from tests.fleet.harness import Ground, Line, Scene
from worker import errors
from worker.ccc import errors as api_errors
from worker.record import State

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/from-your-crm.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CELERY_NODE = "celery-node@0.5.9"
REDIGO = "github.com/gomodule/redigo@v1.9.2"
FETCH_S = 120
# What the examples press, and where.
KEYS = "1234#"
Run = Callable[..., str]


def example(language: str, word: str, page: str = PAGE) -> str:
    """The one example of a page in this language that holds this word."""
    (code,) = [code for code in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL) if word in code]
    return str(code)


def on_line(code: str, line: Line) -> str:
    """An example, for a channel of this test's own."""
    assert "ch-1" in code
    return code.replace("ch-1", line.channel_id).replace("job-1", line.job_id)


def command(name: str) -> str:
    """Where a command is; the test is skipped if this machine has none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name} on this machine")
    return found


def fetch(words: list[str], folder: Path, **env: str) -> None:
    """Have a package manager fetch something; the test is skipped if it cannot."""
    try:
        done = subprocess.run(
            words, cwd=folder, env=os.environ | env, capture_output=True, text=True, timeout=FETCH_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"{Path(words[0]).name} had no answer within {FETCH_S} s")
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        pytest.skip(f"{Path(words[0]).name} cannot fetch {words[-1]}: {lines[-1][:200]}")


@pytest.fixture
def run(fleet: Ground, tmp_path: Path) -> Run:
    """Run a program in an environment that holds nothing but the broker's address; answers what it printed."""

    def start(words: list[str], **env: str) -> str:
        given = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(
            words,
            cwd=tmp_path,
            env=given | {"REDIS_URL": fleet.redis.url} | env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return start


@pytest.fixture(scope="session")
def celery_node(request: pytest.FixtureRequest) -> Path:
    """The folder in which Node finds celery-node; fetched once, and kept with pytest's cache."""
    node, npm = command("node"), command("npm")
    folder = Path(request.config.cache.mkdir(CELERY_NODE))
    modules = folder / "node_modules"
    env = os.environ | {"NODE_PATH": str(modules)}
    known = [node, "-e", "require('celery-node')"]
    if subprocess.run(known, env=env, cwd=folder, capture_output=True, timeout=FETCH_S, check=False).returncode:
        fetch([npm, "install", "--prefix", str(folder), "--ignore-scripts", CELERY_NODE], folder)
    return modules


@pytest.fixture
def press(run: Run, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[str, Line], str]:
    """Run the example of a language on a line; answers what it printed."""

    def python(line: Line) -> str:
        (tmp_path / "press.py").write_text(on_line(example("python", "send_task"), line))
        return run([sys.executable, "press.py"])

    def node(line: Line) -> str:
        modules = request.getfixturevalue("celery_node")
        (tmp_path / "press.js").write_text(on_line(example("js", "createTask"), line))
        return run([command("node"), "press.js"], NODE_PATH=str(modules))

    def php(line: Line) -> str:
        php = command("php")
        if "redis" not in run([php, "-m"]).split():
            pytest.skip("PHP has no phpredis on this machine")
        (tmp_path / "press.php").write_text(on_line(example("php", "lPush"), line))
        return run([php, "press.php"])

    def go(line: Line) -> str:
        go = command("go")
        folder = Path(request.config.cache.mkdir("redigo"))
        (folder / "main.go").write_text(on_line(example("go", "LPUSH"), line))
        if not (folder / "go.mod").exists():
            fetch([go, "mod", "init", "press"], folder)
        fetch([go, "get", REDIGO], folder)
        fetch([go, "build", "-o", "press", "."], folder)
        return run([str(folder / "press")])

    ways = {"python": python, "node": node, "php": php, "go": go}
    return lambda language, line: ways[language](line).strip()


LANGUAGES = pytest.mark.parametrize("language", ["python", "node", "php", "go"])


@LANGUAGES
def test_an_example_presses_and_reads_its_result(
    scene: Scene, line: Line, press: Callable[[str, Line], str], language: str
) -> None:
    said = press(language, line)
    assert said.split() == ["SUCCESS", "sent"]
    heard = scene.control.heard(scene.since_heard)
    assert "".join(event["key"] for event in heard if event["channel_id"] == line.channel_id) == KEYS


def test_the_readmes_example_presses(scene: Scene, line: Line, run: Run, tmp_path: Path) -> None:
    code = on_line(example("python", "send_task", README), line)
    given = "import os\nREDIS_URL = os.environ['REDIS_URL']\n"
    (tmp_path / "press.py").write_text(f"{given}{code}\nprint(outcome['state'])")
    assert run([sys.executable, "press.py"]).split() == ["sent"]
    heard = scene.control.heard(scene.since_heard)
    assert "".join(event["key"] for event in heard if event["channel_id"] == line.channel_id) == KEYS


@LANGUAGES
def test_an_example_reads_that_the_call_is_over(
    scene: Scene, line: Line, press: Callable[[str, Line], str], language: str
) -> None:
    scene.rule(line, error={"code": "NotExists.JobId", "status": 404})
    assert press(language, line).split() == ["FAILURE", "Gone"]


def test_the_table_of_states_names_every_state_and_error() -> None:
    rows = [
        line.split("|")[1:4] for line in PAGE.splitlines() if re.match(r"^\|[^|]*\| (SUCCESS|FAILURE|REVOKED) ", line)
    ]
    assert {state.strip() for state, _, _ in rows} == {*State, "refused", ""} - {State.QUEUED, State.SENDING}
    named = {name.strip() for *_, names in rows for name in names.split(",")} - {""}
    assert named == {
        *("Gone", "Rejected", "TaskExpired", "TaskUnknown", "TaskCancelled", "LineBroken"),
        *("InvalidTask", "DeadlinePassed", "ChannelBroken", "ChannelQueueFull", "SystemQueueFull"),
    }
    for name in named:
        assert issubclass(getattr(errors, name, None) or getattr(api_errors, name), errors.DtmfError)


def test_bursts_of_celery_node_keep_their_order(
    scene: Scene, line: Line, run: Run, tmp_path: Path, celery_node: Path
) -> None:
    lines = [line, *(Line.new() for _ in range(4))]
    tasks = [(f"{each.job_id}-{n}", each, f"{n}#") for n in range(10) for each in lines]
    told = [[task_id, kwargs_of(each, dtmf, expires_in=120)] for task_id, each, dtmf in tasks]
    (tmp_path / "burst.js").write_text(
        f"""
        const client = require("celery-node").createClient(process.env.REDIS_URL, process.env.REDIS_URL, "dtmf");
        const results = {json.dumps(told)}.map(([id, kwargs]) => client.sendTask("dtmf.send", [], kwargs, id));
        Promise.all(results.map((result) => result.get(90000))).then((records) => {{
          console.log(records.map((record) => record.state).join(" "));
          return client.disconnect();
        }});
        """
    )
    assert run([command("node"), "burst.js"], NODE_PATH=str(celery_node)).split() == ["sent"] * len(tasks)
    for task in tasks:
        note(scene, *task)
    assert scene.verdict(complete=True).broken == []
    assert scene.transcript() == scene.enqueued()


def test_the_examples_of_the_simulators_controls(scene: Scene, line: Line, run: Run, fleet: Ground) -> None:
    command("curl")
    script = on_line(example("bash", "_sim/heard"), line)
    endpoint = f"http://127.0.0.1:{fleet.simulator.port}"
    failing = 'set -e\ncurl() { command curl --fail --silent --show-error "$@"; echo; }\n'
    run(["bash", "-c", failing + script], CCC_ENDPOINT=endpoint)
    with other_celery(fleet) as crm:
        result = crm.send_task("dtmf.send", kwargs=kwargs_of(line, "1"), queue="dtmf")
        end = result.get(timeout=30, propagate=False)
    assert type(end).__name__ == "Gone"
    assert scene.keys(line) == ""


def test_the_example_with_a_consumer_group_loses_no_record(
    scene: Scene, line: Line, fleet: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", fleet.redis.url)
    names: dict[str, Any] = {}
    exec(compile(example("python", "xautoclaim"), "docs/from-your-crm.md", "exec"), names)  # noqa: S102
    results = [scene.send(line, str(number)) for number in range(6)]
    ids = [result.id for result in results]
    stored: list[str] = []

    class Died(Exception):
        pass

    def follow_until(name: str, enough: Callable[[], bool]) -> None:
        def store(record: dict[str, Any]) -> None:
            if record["id"] in ids:
                stored.append(record["id"])
                if enough():
                    raise Died

        with pytest.raises(Died):
            names["follow"](store, group=f"crm-{line.job_id}", name=name, idle_ms=0)

    scene.settle()
    follow_until("one", lambda: len(stored) == 3)
    # What the first had taken, the second takes over: also what it died of.
    follow_until("two", lambda: set(stored) == set(ids))
    assert stored == ids[:3] + ids[2:]
