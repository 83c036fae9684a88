"""The demo as a newcomer runs it: to its end, and stopped in the middle."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

LIMIT_S = 150


def command_of(pid: int) -> str:
    """Command line of a process; empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def children_of(parent: int) -> dict[int, str]:
    """Process ids and command lines of a process's children."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            pid = int(entry.parent.name)
            found[pid] = command_of(pid)
    return found


def test_the_demo_holds_every_promise_and_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker", "demo"], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every promise held" in done.stdout
    figures = {name: int(re.search(rf"{name} +(\d+)", done.stdout)[1]) for name in ("channels", "digits enqueued")}  # type: ignore[index]
    assert figures["channels"] >= 100
    assert figures["digits enqueued"] >= 2000
    for line in ("out of order", "doubled", "lost", "heard after the deadline"):
        assert re.search(rf"{line} +0\b", done.stdout)
    assert "was killed (SIGKILL)" in done.stdout
    assert re.search(r"p50 \d+ ms, p95 \d+ ms, p99 \d+ ms", done.stdout)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc to see which processes are left")
@pytest.mark.parametrize(
    ("workers", "presses"),
    [(0, 1), (2, 1), (2, 2)],
    ids=["while its servers start", "once", "twice, since it takes a while"],
)
def test_ctrl_c_ends_every_process_of_the_demo(workers: int, presses: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "worker", "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as demo:
        end = time.monotonic() + 60
        while len(children_of(demo.pid)) <= workers or (
            sum("celery" in command for command in children_of(demo.pid).values()) < workers
        ):
            assert time.monotonic() < end
            time.sleep(0.05)
        started = children_of(demo.pid)
        for _ in range(presses):
            demo.send_signal(signal.SIGINT)
            time.sleep(0.2)
        output, _ = demo.communicate(timeout=60)
        assert demo.returncode == 130, output
        assert "Traceback" not in output
    assert not [command for pid, command in started.items() if command and command_of(pid) == command]
