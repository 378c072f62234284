"""What a benchmark found: tables, lines for plots, and how it stands against what it should reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from superhero.reports.plot import Plot

__all__ = ["Cell", "Figures", "Plot", "Spread", "Table", "Target", "percentile"]

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table; numbers are shown with three significant digits or as whole numbers."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """One figure to reach; `met` is not a verdict on the code, only on this run on this machine."""

    what: str
    reach: str
    measured: str
    met: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything one benchmark found."""

    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    targets: Sequence[Target] = ()


@dataclass(slots=True)
class Spread:
    """Repetitions of one measurement: the middle one counts, the others show how far to trust it."""

    values: list[float] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def least(self) -> float:
        """The smallest."""
        return min(self.values)

    @property
    def most(self) -> float:
        """The largest."""
        return max(self.values)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that `percent` of a hundred do not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]
