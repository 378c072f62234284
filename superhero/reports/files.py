"""Put a report into a folder: report.html, report.json, and each plot as SVG and, with matplotlib, as PNG."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from superhero.reports.pictures import draw
from superhero.reports.plot import Plot
from superhero.reports.svg import svg


@dataclass(frozen=True, slots=True)
class Report:
    """A report that is made up and not written yet; `facts` is what report.json holds."""

    page: str
    facts: Mapping[str, Any]
    plots: Sequence[Plot]


def write(report: Report, folder: Path) -> Path:
    """Write a report and return where its page is. Files of an earlier one are replaced."""
    pictures = folder / "plots"
    pictures.mkdir(parents=True, exist_ok=True)
    for plot in report.plots:
        (pictures / f"{plot.name}.svg").write_text(svg(plot, alone=True), encoding="utf-8")
    with suppress(ImportError):  # without matplotlib there is no PNG, and all else is as it is
        draw(map(asdict, report.plots), pictures, ("png",))
    (folder / "report.json").write_text(json.dumps(report.facts, indent=1) + "\n", encoding="utf-8")
    place = folder / "report.html"
    place.write_text(report.page, encoding="utf-8")
    return place
