"""docs/logs.md lists the events that there are."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/logs.md").read_text(encoding="utf-8")
LOGGED = {
    name
    for file in (ROOT / "worker").rglob("*.py")
    for name in re.findall(r'\b_?[Ee]vent\(\s*"([a-z_]+\.[a-z_]+)"', file.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("name", sorted(LOGGED))
def test_every_event_is_explained(name: str) -> None:
    assert re.search(rf"^\| `{re.escape(name)}` \|", PAGE, re.MULTILINE)


def test_no_other_event_is_listed() -> None:
    assert set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \|", PAGE, re.MULTILINE)) == LOGGED
