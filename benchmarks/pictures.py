"""Draw the pictures of a run: `python benchmarks/pictures.py RESULTS.json FOLDER`, with matplotlib alone.

Run under the peers' environment, which has matplotlib; ours does not need it for anything else.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt

_OURS, _OTHERS = "#c0392b", "#8395a7"
_LINES = ("#c0392b", "#2e86de", "#10ac84", "#8395a7")


def main() -> None:
    """Draw every plot as PNG and as SVG."""
    results, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    # So that the same figures give the same file.
    plt.rcParams["svg.hashsalt"] = "superhero"
    for suite in json.loads(results.read_text(encoding="utf-8"))["suites"].values():
        for plot in suite["plots"]:
            _draw(plot, folder)


def _draw(plot: dict[str, Any], folder: Path) -> None:
    bars = plot["kind"] == "bars"
    height = 1.2 + 0.32 * len(plot["series"]) if bars else 4.2
    figure, axes = plt.subplots(figsize=(8.5, height))
    if bars:
        _bars(axes, plot)
    else:
        _lines(axes, plot)
    axes.set_title(plot["title"], loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    for kind, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
        figure.savefig(folder / f"{plot['name']}.{kind}", dpi=120, metadata=metadata)
    plt.close(figure)


def _bars(axes: Any, plot: dict[str, Any]) -> None:
    names, values = list(plot["series"]), list(plot["series"].values())
    colors = [_OURS if name.startswith("superhero") else _OTHERS for name in names]
    drawn = axes.barh(names, values, color=colors)
    axes.bar_label(drawn, labels=[_shown(value) for value in values], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(plot["axis"] + (" (logarithmic)" if plot["log"] else ""))
    if plot["log"]:
        axes.set_xscale("log")
    axes.margins(x=0.15)


def _lines(axes: Any, plot: dict[str, Any]) -> None:
    for color, (name, points) in zip(_LINES, plot["series"].items(), strict=False):
        dots = "o" if len(points) < 20 else ""
        axes.plot([x for x, _ in points], [y for _, y in points], color=color, marker=dots, label=name)
    axes.set_xlabel(plot["x_axis"])
    axes.set_ylabel(plot["axis"])
    axes.set_ylim(bottom=0)
    if len(plot["series"]) > 1:
        axes.legend(frameon=False)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
