"""The tables of `superhero verify`, which fit the screen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from superhero.ops.held import Held, HeldEvent, KeyVerdict
from superhero.ops.verify import FIGURES, Line, Verdict

_BAD = {"lost", "duplicated", "unexpected"}
_NO_CHANNEL = "(unknown)"
_ANY_WIDTH = 100_000

Row = tuple[str, ...]


def key_table(held: KeyVerdict) -> Table:
    """Return the datasets and events of an answer key, as expected and as found."""
    table = Table("dataset or event", "expected", "found", "", title="the answer key", title_justify="left")
    table.columns[0].overflow = "fold"
    for column in table.columns[1:3]:
        column.justify = "right"
    lines: list[tuple[str, Held | HeldEvent]] = [(each.dataset, each) for each in held.datasets]
    lines += [(f"{each.channel} {each.event}", each) for each in held.events]
    for name, line in lines:
        word = (
            "same" if line.same else "[red]other rows[/]" if line.expected == line.found else "[red]other[/]"
        )
        table.add_row(escape(name), f"{line.expected:,}", f"{line.found:,}", word)
    return table


def records(
    verdict: Verdict, console: Console, *, by_producer: bool, sure_of_lost: bool = True
) -> Iterator[Table]:
    """Yield what became of the records, per producer or channel; `sure_of_lost`: none of them may wait."""
    figures = tuple("lost or waiting" if name == "lost" and not sure_of_lost else name for name in FIGURES)
    total = verdict.total()
    if by_producer:
        heads: Row = ("producer", "channel", *figures)
        rows = [
            (escape(line.producer), escape(line.channel or _NO_CHANNEL), *_figures(line))
            for line in verdict.producers
        ]
        rows.append((f"all {total.producers:,}", "", *_figures(total)))
    else:
        heads = ("channel", "producers", *figures)
        lines = verdict.channels()
        rows = [
            (escape(line.channel or _NO_CHANNEL), f"{line.producers:,}", *_figures(line)) for line in lines
        ]
        rows.append(("all", f"{total.producers:,}", *_figures(total)))
    return _fitting("records", heads, rows, console)


def _figures(line: Line) -> Row:
    return tuple(_figure(getattr(line, name), bad=name in _BAD) for name in FIGURES)


def _figure(number: int, *, bad: bool) -> str:
    return f"[red]{number:,}[/]" if bad and number else f"{number:,}"


def datasets(verdict: Verdict, console: Console) -> Iterator[Table]:
    """Yield what became of games and attacks beside the records; nothing where nobody played."""
    games, attacks = verdict.games, verdict.attacks
    heads = ("dataset", "recorded", "written", "lost", "duplicated", "wrong", "unexpected")
    of_games = (
        games.completed,
        games.ingested,
        games.lost,
        games.duplicated,
        games.wrong,
        games.unexpected,
    )
    of_attacks = (
        attacks.recorded,
        attacks.written,
        attacks.lost,
        attacks.duplicated,
        0,
        attacks.unexpected,
    )
    rows = [
        (name, *(_figure(number, bad=at > 1) for at, number in enumerate(figures)))
        for name, figures in (("games", of_games), ("attacks", of_attacks))
    ]
    if any((*of_games, *of_attacks)):
        yield from _fitting("datasets beside the records", heads, rows, console)


def _fitting(title: str, heads: Row, rows: Sequence[Row], console: Console) -> Iterator[Table]:
    """Yield a table that the screen is wide enough for; else tables of a column per row, side by side."""
    wide = _table(title, heads, rows)
    if _fits(wide, console):
        yield wide
        return
    rest = list(rows)
    while rest:
        count = 1
        while count < len(rest) and _fits(_turned(title, heads, rest[: count + 1]), console):
            count += 1
        yield _turned(title, heads, rest[:count])
        rest = rest[count:]


def _turned(title: str, heads: Row, rows: Sequence[Row]) -> Table:
    columns = list(zip(heads, *rows, strict=True))
    return _table(title, columns[0], columns[1:])


def _table(title: str, heads: Row, rows: Sequence[Row]) -> Table:
    table = Table(title=title, title_justify="left")
    for at, head in enumerate(heads):
        # Folded at worst: what is cut cannot be searched for.
        table.add_column(head, justify="right" if at else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _fits(table: Table, console: Console) -> bool:
    return console.measure(table, options=console.options.update(width=_ANY_WIDTH)).maximum <= console.width
