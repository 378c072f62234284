"""Show figures: tables on the terminal, tables in Markdown."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.figures import Cell, Figures, Table


def shown(cell: Cell) -> str:
    """Return a cell as text: whole numbers from 100 on, three significant digits below."""
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    return f"{cell:,.0f}" if isinstance(cell, int) or abs(cell) >= 100 else f"{cell:.3g}"


def print_figures(console: Console, figures: Figures) -> None:
    """Print a benchmark's tables."""
    for table in figures.tables:
        rich = RichTable(title=table.title, title_justify="left")
        for number, column in enumerate(table.columns):
            rich.add_column(column, justify="left" if number == 0 else "right")
        for row in table.rows:
            rich.add_row(*map(shown, row))
        console.print(rich)
        for note in table.notes:
            console.print(note, style="dim")


def print_targets(console: Console, found: Mapping[str, Figures]) -> None:
    """Print how everything stands against what it should reach."""
    rich = RichTable("what", "reach", "measured", "", title="targets", title_justify="left")
    for figures in found.values():
        for each in figures.targets:
            rich.add_row(each.what, each.reach, each.measured, "yes" if each.met else "[red]no[/]")
    console.print(rich)


def markdown(table: Table) -> str:
    """Return a table in Markdown."""
    lines = [
        "| " + " | ".join(table.columns) + " |",
        "| " + " | ".join("---" if number == 0 else "---:" for number in range(len(table.columns))) + " |",
        *("| " + " | ".join(map(shown, row)) + " |" for row in table.rows),
    ]
    return "\n".join([*lines, *(f"\n{note}" for note in table.notes)])
