"""Figures that tests saw: shown in the summary of a run, asserted nowhere."""

FIGURES: list[str] = []


def report(figure: str) -> None:
    """Keep a figure for the summary."""
    FIGURES.append(figure)
