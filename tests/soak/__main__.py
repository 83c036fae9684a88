"""`make soak DURATION=10m`: every scenario for its share of that time, one table, exit status 1 on a broken promise."""

import logging
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.fleet.harness import Ground, Simulator
from tests.soak.result import Result
from tests.soak.scenarios import SCENARIOS, Scenario, share_of
from worker.local.processes import start_simulator
from worker.local.redis import free_port
from worker.simulator.control import SimulatorControl

console = Console(width=None if sys.stdout.isatty() else 120)
_UNITS = {"s": 1, "m": 60, "h": 3600}


def _duration(text: str) -> float:
    """Seconds, from 90, 90s, 10m or 2h."""
    number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
    return float(number) * unit


@click.command()
@click.argument("duration", type=_duration, default="10m")
@click.option("--only", multiple=True, help="A scenario's module; may be given again.")
@click.option("--keep", is_flag=True, help="Keep the folder with the logs and the servers' data.")
def soak(duration: float, only: tuple[str, ...], *, keep: bool) -> None:
    """Play every scenario for its share of DURATION (10m). Exit status 1 if a promise was broken."""
    chosen = [scenario for scenario in SCENARIOS if not only or scenario.key in only]
    if not chosen:
        raise click.UsageError(f"--only takes {', '.join(scenario.key for scenario in SCENARIOS)}")
    # What the producer logs of the outages is no news.
    logging.getLogger("worker").setLevel(logging.ERROR)
    folder = Path(tempfile.mkdtemp(prefix="dtmf-soak-"))
    began = time.monotonic()
    try:
        results = {scenario: _play(folder, scenario, share_of(scenario, chosen, duration)) for scenario in chosen}
    finally:
        if keep:
            console.print(f"logs and data: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    _show(results, time.monotonic() - began)
    sys.exit(1 if any(result.broken or result.missed for result in results.values()) else 0)


def _play(folder: Path, scenario: Scenario, seconds: float) -> Result:
    """One scenario, on a server, a simulator and workers of its own."""
    console.print(f"{time.strftime('%H:%M:%S')} {scenario.name}, for {seconds:.0f} s")
    home = folder / scenario.key
    home.mkdir()
    with ExitStack() as stack:
        port = free_port()
        stack.enter_context(start_simulator(port, home / "simulator.log"))
        control = stack.enter_context(SimulatorControl(f"http://127.0.0.1:{port}", timeout=60))
        ground = stack.enter_context(Ground(home, Simulator(port, control), **scenario.settings))
        try:
            return scenario.play(ground, seconds)
        except Exception as error:  # noqa: BLE001 - the other scenarios are still worth their time
            return Result(broken=[f"{type(error).__name__}: {error}"])


def _show(results: dict[Scenario, Result], seconds: float) -> None:
    table = Table("scenario", "figure", "value", "limit", "", title=f"{seconds / 60:.1f} minutes", title_justify="left")
    table.columns[2].justify = "right"
    for scenario, result in results.items():
        name = scenario.name
        for figure in result.figures:
            mark = {True: "[green]held[/]", False: "[bold red]missed[/]", None: ""}[figure.holds]
            table.add_row(name, figure.what, figure.text, figure.limit, mark)
            name = ""
        promises = f"[bold red]{len(result.broken)} broken[/]" if result.broken else "[green]held[/]"
        table.add_row(name, "promises", "", "", promises, end_section=True)
    console.print(table)
    for scenario, result in results.items():
        for line in result.broken:
            console.print(f"{scenario.name}: {line}", style="red", markup=False)


if __name__ == "__main__":
    soak()
