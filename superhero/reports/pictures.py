"""Draw plots as PNG and SVG with matplotlib, where it is installed: the extra `plots`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_OURS, _OTHERS, _MARK = "#c0392b", "#8395a7", "#d03b3b"
_LINES = ("#c0392b", "#2e86de", "#10ac84", "#8395a7")


def draw(plots: Iterable[Mapping[str, Any]], folder: Path, kinds: Iterable[str] = ("png", "svg")) -> None:
    """Draw every plot, given as `dataclasses.asdict` of a Plot. Raise ImportError without matplotlib."""
    # Imported here: it makes folders of its own when it is imported.
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    # So that the same figures give the same file.
    with pyplot.rc_context({"svg.hashsalt": "superhero"}):
        for plot in plots:
            bars = plot["kind"] == "bars"
            height = 1.2 + 0.32 * len(plot["series"]) if bars else 4.2
            figure, axes = pyplot.subplots(figsize=(8.5, height))
            (_bars if bars else _lines)(axes, plot)
            axes.set_title(plot["title"], loc="left")
            axes.spines[["top", "right"]].set_visible(False)
            figure.tight_layout()
            for kind in kinds:
                metadata = {"Software": None} if kind == "png" else {"Date": None}
                figure.savefig(folder / f"{plot['name']}.{kind}", dpi=120, metadata=metadata)
            pyplot.close(figure)


def _bars(axes: Any, plot: Mapping[str, Any]) -> None:
    names, values = list(plot["series"]), list(plot["series"].values())
    colors = [_OURS if name.startswith("superhero") else _OTHERS for name in names]
    drawn = axes.barh(names, values, color=colors)
    axes.bar_label(drawn, labels=[_shown(value) for value in values], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlabel(plot["axis"] + (" (logarithmic)" if plot["log"] else ""))
    if plot["log"]:
        axes.set_xscale("log")
    axes.margins(x=0.15)


def _lines(axes: Any, plot: Mapping[str, Any]) -> None:
    for color, (name, points) in zip(_LINES, plot["series"].items(), strict=False):
        dots = "o" if len(points) < 20 else ""
        axes.plot([x for x, _ in points], [y for _, y in points], color=color, marker=dots, label=name)
    for moment, text in plot.get("marks", ()):
        axes.axvline(moment, color=_MARK, linestyle="--", linewidth=1)
        axes.annotate(
            text, (moment, 1), xycoords=("data", "axes fraction"), color=_MARK, fontsize=8, va="top"
        )
    axes.set_xlabel(plot["x_axis"])
    axes.set_ylabel(plot["axis"])
    axes.set_ylim(bottom=0)
    if len(plot["series"]) > 1:
        axes.legend(frameon=False)


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
