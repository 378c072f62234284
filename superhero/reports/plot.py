"""What a picture shows, said without a means of drawing: `svg` draws it, and matplotlib where it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture; `kind` is "bars" (one value per label), or "lines" (points of x and y per label).

    `log` says whether the axis of values is logarithmic; `series` maps a label to its value or points;
    `marks` are moments on the x axis of lines, with what happened then.
    """

    name: str
    title: str
    kind: str
    axis: str
    series: Mapping[str, float | Points]
    log: bool = False
    x_axis: str = ""
    marks: Sequence[tuple[float, str]] = ()


def shown(value: float) -> str:
    """Return a figure as text: whole numbers from 100 on, three significant digits below."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
