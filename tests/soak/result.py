"""What a scenario found: figures, each with the limit that it is held to, and promises that were broken."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.figures import report
from worker.demo.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that was seen.

    Attributes:
        what: what was counted or measured.
        value: how much of it.
        unit: s, %, B and the like; empty for a count.
        at_most: the limit that it is held to in a soak, on a machine of its own; None if there is none.
        at_least: the same, from below.
    """

    what: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether the limit held; None if there is none."""
        if self.at_most is None and self.at_least is None:
            return None
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    @property
    def limit(self) -> str:
        """The limit in words."""
        bounds = [("at most", self.at_most), ("at least", self.at_least)]
        return ", ".join(f"{word} {bound:g} {self.unit}".rstrip() for word, bound in bounds if bound is not None)

    @property
    def text(self) -> str:
        """Value and unit."""
        value = f"{self.value:,}" if isinstance(self.value, int) else f"{self.value:,.2f}"
        return f"{value} {self.unit}".rstrip()


@dataclass(slots=True)
class Result:
    """What came of a scenario.

    Attributes:
        figures: what was seen.
        broken: each broken promise as a line; no time of a busy machine is among them.
    """

    figures: list[Figure] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def see(self, what: str, value: float, unit: str = "", **limit: float) -> None:
        """Add a figure; limit: at_most, at_least."""
        self.figures.append(Figure(what, value, unit, **limit))

    def must(self, holds: object, otherwise: str) -> None:
        """Note a broken promise unless it holds."""
        if not holds:
            self.broken.append(otherwise)

    def take(self, verdict: Verdict) -> None:
        """Add what the simulator's log says."""
        self.see("digits enqueued", verdict.enqueued)
        self.see("digits heard", verdict.heard)
        self.broken += verdict.broken

    @property
    def missed(self) -> list[Figure]:
        """The figures whose limit did not hold."""
        return [figure for figure in self.figures if figure.holds is False]

    def tell(self, name: str) -> None:
        """Show the figures in the summary of the tests."""
        report(f"{name}: " + ", ".join(f"{figure.what} {figure.text}" for figure in self.figures))


def percentile(values: Iterable[float], percent: float) -> float:
    """The value that so many percent stayed within; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] if ordered else 0.0
