"""Draw plots as SVG, with nothing but text: what a report shows must not hang on a plotting library.

Colours are variables of CSS. In a page they are the page's (see page.py); a file of its own brings them along
and follows the viewer's dark or light by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from html import escape

from superhero.reports.plot import Plot, Points, shown

WIDTH = 580
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 18, 62, 40
_LINES_HEIGHT = 270
_BAR, _GAP = 18, 10
_BARS_TOP, _LABEL = 44, 150
_HOVERS = 120
_CHARACTER = 6.4  # width of a letter of the small text, about

COLOURS = """
--surface:#fcfcfb;--ink:#14140f;--soft:#52514e;--faint:#8a8983;--line:#e4e3dd;
--c0:#2a78d6;--c1:#1a9c6c;--c2:#d98a00;--c3:#7a4fd0;--c4:#c2478a;--c5:#5a7d2a;--other:#9aa3ad;--alarm:#d03b3b;
"""
DARK_COLOURS = """
--surface:#1a1a19;--ink:#f5f5f2;--soft:#c3c2b7;--faint:#8f8e86;--line:#32322f;
--c0:#5a9df0;--c1:#35bd8b;--c2:#e7a83a;--c3:#a48af0;--c4:#e27bb3;--c5:#9dbf62;--other:#7b858f;--alarm:#f07070;
"""
STYLE = """
.plot text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:var(--soft)}
.plot .title{font-size:14px;font-weight:600;fill:var(--ink)}
.plot .value{fill:var(--ink);font-variant-numeric:tabular-nums}
.plot .tick{fill:var(--faint);font-size:11px;font-variant-numeric:tabular-nums}
.plot .grid{stroke:var(--line);stroke-width:1}
.plot .mark{stroke:var(--alarm);stroke-width:1.5;stroke-dasharray:4 3}
.plot .mark-text{fill:var(--alarm);font-size:11px;font-weight:600}
.plot .curve{fill:none;stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.plot .hover{fill:transparent}.plot .hover:hover{fill:var(--ink);fill-opacity:.07}
"""


def svg(plot: Plot, *, alone: bool = False) -> str:
    """Return a plot as an element `svg`; `alone`: as a file of its own, with its colours in it."""
    drawn = _bars(plot) if plot.kind == "bars" else _lines(plot, hovers=not alone)
    height = _height(plot)
    head, style = "", ""
    if alone:
        dark = f"@media(prefers-color-scheme:dark){{svg{{{DARK_COLOURS}}}}}"
        head = ' xmlns="http://www.w3.org/2000/svg"'
        background = f'<rect width="{WIDTH}" height="{height}" rx="8" fill="var(--surface)"/>'
        style = f"<style>svg{{{COLOURS}}}{dark}{STYLE}</style>{background}"
    title = f'<text class="title" x="14" y="22">{escape(plot.title)}</text>'
    return (
        f'<svg{head} class="plot" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'aria-label="{escape(plot.title, quote=True)}">{style}{title}{"".join(drawn)}</svg>'
    )


def _height(plot: Plot) -> int:
    if plot.kind == "bars":
        return _BARS_TOP + len(plot.series) * (_BAR + _GAP) + 12
    return _LINES_HEIGHT + (20 if len(plot.series) > 1 else 0)


def _bars(plot: Plot) -> Iterator[str]:
    values = {label: value for label, value in plot.series.items() if isinstance(value, int | float)}
    beside = any(label.startswith("superhero") for label in values)  # ours beside others
    room = WIDTH - _LABEL - 90
    yield f'<text class="tick" x="{WIDTH - 14}" y="22" text-anchor="end">{escape(plot.axis)}</text>'
    for number, (label, value) in enumerate(values.items()):
        y = _BARS_TOP + number * (_BAR + _GAP)
        width = room * _share(value, values.values(), log=plot.log)
        colour = "var(--other)" if beside and not label.startswith("superhero") else "var(--c0)"
        yield (
            f'<text x="{_LABEL - 10}" y="{y + 13}" text-anchor="end">{escape(label)}</text>'
            f'<rect x="{_LABEL}" y="{y}" width="{max(width, 1.5):.1f}" height="{_BAR}" rx="4" '
            f'fill="{colour}"><title>'
            f"{escape(label)}: {shown(value)} {escape(plot.axis)}</title></rect>"
            f'<text class="value" x="{_LABEL + max(width, 1.5) + 7:.1f}" y="{y + 13}">{shown(value)}</text>'
        )


def _share(value: float, values: Collection[float], *, log: bool) -> float:
    """Return how long a bar is, 0 to 1. On a logarithmic axis the shortest keeps a visible stub."""
    if value <= 0:
        return 0.0
    most, least = max(values), min(each for each in values if each > 0)
    if not log:
        return value / most
    low = math.log10(least) - 0.3
    return (math.log10(value) - low) / (math.log10(most) - low)


def _lines(plot: Plot, *, hovers: bool) -> Iterator[str]:
    curves: Mapping[str, Points] = {
        label: points for label, points in plot.series.items() if not isinstance(points, int | float)
    }
    everything = [point for points in curves.values() for point in points]
    times = [x for x, _ in everything] + [x for x, _ in plot.marks]
    ticks_y, ticks_x = _ticks(max((y for _, y in everything), default=0.0)), _ticks(max(times, default=0.0))
    top_y, top_x = ticks_y[-1], max(max(times, default=0.0), 1e-9)
    height, width = _LINES_HEIGHT - _TOP - _BOTTOM, WIDTH - _LEFT - _RIGHT

    def at(x: float, y: float) -> tuple[float, float]:
        return _LEFT + width * x / top_x, _TOP + height * (1 - y / top_y)

    for tick in ticks_y:
        y = at(0, tick)[1]
        yield f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{shown(tick)}</text>'
    for tick in (tick for tick in ticks_x if tick <= top_x):
        place = f'x="{at(tick, 0)[0]:.1f}" y="{_TOP + height + 16}"'
        yield f'<text class="tick" {place} text-anchor="middle">{shown(tick)}</text>'
    base = _TOP + height
    for number, points in enumerate(curves.values()):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in points))
        if len(curves) == 1 and points:
            first, last = at(*points[0])[0], at(*points[-1])[0]
            yield (
                f'<polygon points="{first:.1f},{base} {path} {last:.1f},{base}" '
                'fill="var(--c0)" fill-opacity=".12"/>'
            )
        yield f'<polyline class="curve" points="{path}" stroke="var(--c{number % 6})"/>'
    yield from _marks(plot.marks, lambda x: at(x, 0)[0], base)
    if hovers:
        yield from _hovers(curves, plot, lambda x: at(x, 0)[0], base - _TOP)
    yield f'<text class="tick" x="{WIDTH - 14}" y="22" text-anchor="end">{escape(plot.axis)}</text>'
    place = f'x="{WIDTH - _RIGHT}" y="{base + 32}"'
    yield f'<text class="tick" {place} text-anchor="end">{escape(plot.x_axis)}</text>'
    if len(curves) > 1:
        yield from _legend(list(curves))


def _marks(marks: Sequence[tuple[float, str]], at_x: Callable[[float], float], base: float) -> Iterator[str]:
    """Draw what happened when. A text that would run into the one before it goes a line higher."""
    taken = [-math.inf, -math.inf]
    for moment, text in sorted(marks):
        x = at_x(moment)
        width = len(text) * _CHARACTER
        right = x + width + 8 > WIDTH - _RIGHT
        begin = x - width - 6 if right else x + 5
        row = next((row for row, end in enumerate(taken) if begin > end), len(taken) - 1)
        taken[row] = begin + width + 6
        yield f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 18}" y2="{base}"/>'
        yield f'<text class="mark-text" x="{begin:.1f}" y="{_TOP - 8 - row * 13}">{escape(text)}</text>'


def _hovers(
    curves: Mapping[str, Points], plot: Plot, at_x: Callable[[float], float], height: float
) -> Iterator[str]:
    """Lay a strip over each moment that tells, when pointed at, how all curves stand there."""
    longest = max(curves.values(), key=len, default=())
    step = max(len(longest) // _HOVERS, 1)
    moments = [x for x, _ in longest[::step]]
    for moment, after in zip(moments, [*moments[1:], *moments[-1:]], strict=True):
        x, until = at_x(moment), at_x(after)
        told = [f"{label}: {shown(_latest(points, moment))}" for label, points in curves.items()]
        said = escape("\n".join([f"{shown(moment)} {plot.x_axis}", *told]))
        yield (
            f'<rect class="hover" x="{x:.1f}" y="{_TOP}" width="{max(until - x, 1.5):.1f}" '
            f'height="{height:.0f}"><title>{said}</title></rect>'
        )


def _latest(points: Points, moment: float) -> float:
    return next((y for x, y in reversed(points) if x <= moment), 0.0)


def _legend(labels: Sequence[str]) -> Iterator[str]:
    x = float(_LEFT)
    y = _LINES_HEIGHT + 6
    for number, label in enumerate(labels):
        yield f'<rect x="{x:.1f}" y="{y - 8}" width="14" height="4" rx="2" fill="var(--c{number % 6})"/>'
        yield f'<text x="{x + 20:.1f}" y="{y - 2}">{escape(label)}</text>'
        x += 44 + len(label) * 6.8


def _ticks(most: float) -> list[float]:
    """Return round values from 0 on, of which the last is `most` or more: four to six of them."""
    if most <= 0:
        return [0.0, 1.0]
    rough = most / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return [step * number for number in range(math.ceil(most / step - 1e-9) + 1)]
