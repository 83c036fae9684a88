"""`dtmf doctor`."""

import json
import sys
from dataclasses import asdict

import click
from rich.table import Table
from rich.text import Text

from config.settings import Settings
from worker.cli.arguments import json_option
from worker.cli.checks import Finding, Level, Patient, examine
from worker.cli.output import BAD, GOOD, ODD, console, print_line

_STYLES = {Level.OK: GOOD, Level.WARNING: ODD, Level.FAULT: BAD, Level.SKIPPED: ""}


@click.command()
@click.option("--strict", is_flag=True, help="Exit status 1 for a warning too.")
@json_option
def doctor(*, strict: bool, as_json: bool) -> None:
    """Look at everything that a worker and a producer need, and say what to do about what is wrong.

    Run it where a worker runs, with its settings. It presses no key, signs no request and changes nothing. Exit
    status 0 if nothing is wrong, else 1; a warning counts with --strict alone.
    """
    found = []
    for finding in examine(Patient(*Settings.examine(worker=False))):
        found.append(finding)
        if not as_json:
            _show(finding)
    bad = {Level.FAULT, Level.WARNING} if strict else {Level.FAULT}
    wrong = any(finding.level in bad for finding in found)
    if as_json:
        click.echo(json.dumps({"ok": not wrong, "checks": [asdict(finding) for finding in found]}, indent=2))
    sys.exit(1 if wrong else 0)


def _show(finding: Finding) -> None:
    style, do = _STYLES[finding.level], finding.do and f"-> {finding.do}"
    if not console.is_terminal:
        print_line(Text(f"{finding.level:<7} {finding.check:<11} {finding.text} {do}".rstrip()))
        return
    line = Table.grid(padding=(0, 1, 0, 0))
    for width in (7, 11):
        line.add_column(width=width)
    line.add_column(overflow="fold")
    line.add_row(Text(finding.level, style), finding.check, "\n".join(filter(None, (finding.text, do))))
    console.print(line)
