"""A report as one page: styles and pictures are in it, and it asks nobody for anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from superhero.reports.plot import Plot
from superhero.reports.svg import COLOURS, DARK_COLOURS, STYLE, svg

_CSS = f"""
:root{{color-scheme:light dark;--page:#f3f2ee;--good:#0a7d2c;--bad:#c22f2f;--good-bg:#e3f4e6;--bad-bg:#fbe6e4;
--warn-bg:#fdf1d6;--warn:#8a5a00;{COLOURS}}}
@media(prefers-color-scheme:dark){{:root{{--page:#0f0f0e;--good:#63d487;--bad:#ff8a80;--good-bg:#12301c;
--bad-bg:#3a1917;--warn-bg:#362a10;--warn:#efc05a;{DARK_COLOURS}}}}}
{STYLE}
*{{box-sizing:border-box}}
body{{margin:0;background:var(--page);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}}
main{{max-width:1080px;margin:0 auto;padding:32px 20px 64px}}
h1{{font-size:28px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}}
h2{{font-size:19px;margin:44px 0 4px}}h2+p{{margin:0 0 14px}}
p{{max-width:78ch;color:var(--soft);margin:8px 0}}a{{color:var(--c0)}}
code{{font:13px ui-monospace,SFMono-Regular,Menlo,monospace;
background:var(--line);border-radius:4px;padding:1px 5px}}
.verdict{{display:flex;gap:14px;align-items:center;border-radius:12px;padding:16px 20px;margin:20px 0;
font-size:18px;font-weight:600}}
.verdict span{{font-size:26px;line-height:1}}
.verdict.good{{background:var(--good-bg);color:var(--good)}}.verdict.bad{{background:var(--bad-bg);color:var(--bad)}}
.tiles{{display:grid;grid-template-columns:repeat(auto-fit,minmax(124px,1fr));gap:10px;margin:14px 0}}
.tile{{background:var(--surface);border:1px solid var(--line);border-radius:10px;padding:10px 14px}}
.tile b{{display:block;font-size:24px;font-weight:600;line-height:1.25}}.tile small{{color:var(--soft)}}
.tile.good b{{color:var(--good)}}.tile.bad b{{color:var(--bad)}}
.plots{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,470px),1fr));gap:12px}}
.plots figure,.wide figure{{margin:0;background:var(--surface);border:1px solid var(--line);
border-radius:12px;padding:8px}}
.wide{{display:grid;gap:12px;margin:14px 0}}.plot{{display:block;width:100%;height:auto}}
.scroll{{overflow-x:auto;background:var(--surface);border:1px solid var(--line);
border-radius:12px;margin:14px 0}}
table{{border-collapse:collapse;width:100%;font-size:14px}}
th,td{{padding:8px 10px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;
font-variant-numeric:tabular-nums}}
th:first-child,td:first-child{{text-align:left}}tr:last-child td{{border-bottom:0}}
th{{color:var(--soft);font-weight:600;vertical-align:bottom;white-space:normal}}.text{{text-align:left!important;white-space:normal!important;min-width:30ch}}
td.good{{color:var(--good)}}td.bad{{color:var(--bad);background:var(--bad-bg);font-weight:600}}
td.warn{{color:var(--warn);background:var(--warn-bg);font-weight:600}}tr.ours td{{font-weight:600}}
footer{{margin-top:48px;color:var(--faint);font-size:13px}}
@media print{{body{{background:#fff}}.plots figure{{break-inside:avoid}}}}
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table; `tone` is "good", "warn" or "bad", or "text" for one that is read and wraps."""

    text: str
    tone: str = ""


def page(title: str, lead: str, parts: Iterable[str], footer: str) -> str:
    """Return the whole document. `lead` and `footer` are text, `parts` are HTML from the functions below."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_CSS}</style></head><body><main>"
        f"<h1>{escape(title)}</h1>{paragraph(lead)}{''.join(parts)}"
        f"<footer>{escape(footer)}</footer></main></body></html>\n"
    )


def verdict(*, good: bool, text: str) -> str:
    """Return the sentence that says how it came out; a sign says it too, for whoever sees no colours."""
    sign, tone = ("✓", "good") if good else ("✗", "bad")
    shown = f'<span aria-hidden="true">{sign}</span>{escape(text)}'
    return f'<div class="verdict {tone}" role="status">{shown}</div>'


def heading(text: str, below: str = "") -> str:
    """Return a heading, and a sentence under it."""
    return f"<h2>{escape(text)}</h2>" + (paragraph(below) if below else "")


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def tiles(facts: Iterable[tuple[str, str, str]]) -> str:
    """Return figures in large print: (what, figure, tone)."""
    drawn = (
        f'<div class="tile {tone}"><b>{escape(figure)}</b><small>{escape(what)}</small></div>'
        for what, figure, tone in facts
    )
    return f'<div class="tiles">{"".join(drawn)}</div>'


def plots(shown: Iterable[Plot], *, wide: bool = False) -> str:
    """Return pictures side by side where there is room, or `wide` ones below each other."""
    figures = "".join(f"<figure>{svg(plot)}</figure>" for plot in shown)
    return f'<div class="{"wide" if wide else "plots"}">{figures}</div>'


def table(columns: Sequence[str], rows: Iterable[tuple[str, Sequence[Cell]]]) -> str:
    """Return a table; each row is a class ("ours" stands out) and its cells."""
    rows = list(rows)
    tones = [cell.tone if cell.tone == "text" else "" for cell in rows[0][1]] if rows else [""] * len(columns)
    head = "".join(
        f'<th scope="col" class="{tone}">{escape(column)}</th>'
        for column, tone in zip(columns, tones, strict=True)
    )
    body = "".join(
        f'<tr class="{kind}">'
        + "".join(f'<td class="{cell.tone}">{escape(cell.text)}</td>' for cell in cells)
        + "</tr>"
        for kind, cells in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
