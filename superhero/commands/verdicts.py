"""How `superhero verify` shows what it found: tables that fit the screen, sentences that claim no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from superhero.ops.depths import Waiting
from superhero.ops.held import Held, HeldEvent, KeyVerdict
from superhero.ops.verify import FIGURES, Line, Verdict

_MOST_EXAMPLES = 20
_BAD = {"lost", "duplicated", "unexpected"}
_NO_CHANNEL = "(unknown)"
_ANY_WIDTH = 100_000

Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """All that was found out.

    verdict     by record ids; None for a sink that only a key can verify
    held        by answer key; None without one
    waiting     what waits on the broker; None if it was not asked
    unpromised  producers of which nobody said how much they emitted
    letters     letters in quarantine; None if nobody looked
    anonymous   of those, how many show no record ids
    """

    verdict: Verdict | None = None
    held: KeyVerdict | None = None
    waiting: Waiting | None = None
    unpromised: int = 0
    letters: int | None = None
    anonymous: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is lost or doubled, nothing waits and all is accounted for."""
        waits = self.waiting is not None and bool(self.waiting.queues)
        return not waits and all(each.clean for each in (self.verdict, self.held) if each is not None)


def in_json(found: Finding) -> dict[str, Any]:
    """Return a finding JSON-ready: the total, per channel and producer, games, attacks, files, broker."""
    told: dict[str, Any] = {}
    if found.verdict is not None:
        told = {
            "total": _sum(found.verdict.total()),
            "channels": [_sum(line) for line in found.verdict.channels()],
            **asdict(found.verdict),
        }
    if found.held is not None:
        told["key"] = asdict(found.held)
    if found.letters is not None:
        told["letters"] = {"all": found.letters, "without_record_ids": found.anonymous}
    told["waiting"] = dict(found.waiting.queues) if found.waiting and not found.waiting.error else None
    return {"clean": found.clean, **told}


def _sum(line: Line) -> dict[str, Any]:
    facts = asdict(line)
    del facts["producer"]  # they are many, and `producers` says how many
    return facts


def show(found: Finding, console: Console, *, by_producer: bool = False) -> None:
    """Print a finding."""
    if found.held is not None:
        console.print(_key_table(found.held))
        console.print(
            "[green]As the answer key says.[/]" if found.held.clean else "[red]Not as the key says.[/]"
        )
    if found.verdict is not None:
        for table in (*_records(found.verdict, console, by_producer), *_datasets(found.verdict, console)):
            console.print(table)
        for text in _complaints(found.verdict):
            console.print(f"  {text}", highlight=False, soft_wrap=True)
    for text in _sentences(found):
        console.print(text, highlight=False, soft_wrap=True)


def _key_table(held: KeyVerdict) -> Table:
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


def _records(verdict: Verdict, console: Console, by_producer: bool) -> Iterator[Table]:
    total = verdict.total()
    if by_producer:
        heads: Row = ("producer", "channel", *FIGURES)
        rows = [
            (escape(line.producer), escape(line.channel or _NO_CHANNEL), *_figures(line))
            for line in verdict.producers
        ]
        rows.append((f"all {total.producers:,}", "", *_figures(total)))
    else:
        heads = ("channel", "producers", *FIGURES)
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


def _datasets(verdict: Verdict, console: Console) -> Iterator[Table]:
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
    return _fitting("datasets beside the records", heads, rows, console)


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


def _complaints(verdict: Verdict) -> Iterator[str]:
    examples = [line.examples for line in verdict.producers if line.examples]
    for each in examples[:_MOST_EXAMPLES]:
        yield f"[red]look at[/] {escape(', '.join(each))}"
    if len(examples) > _MOST_EXAMPLES:
        yield f"[red]and[/] at {len(examples) - _MOST_EXAMPLES:,} producers more: --json has them all"
    for path in verdict.torn:
        yield f"[red]torn[/] the last line of {escape(path)} has no end"
    for path, lines in verdict.unreadable.items():
        yield f"[red]unreadable[/] {lines} lines of {escape(path)}"


def _sentences(found: Finding) -> Iterator[str]:
    if found.verdict is not None:
        yield _judgement(found, found.verdict)
        yield from _of_quarantine(found, found.verdict)
    if found.waiting is None:
        return
    for queue, count in found.waiting.queues.items():
        waits = "1 message still waits" if count == 1 else f"{count:,} messages still wait"
        yield f"[red]{waits} in {escape(queue)}: not all is in yet.[/]"
    if found.waiting.error:
        yield f"No broker said whether messages still wait: {escape(found.waiting.error)}"


def _judgement(found: Finding, verdict: Verdict) -> str:
    if not verdict.clean:
        return "[red]Something was lost or doubled, or cannot be accounted for.[/]"
    if not found.unpromised:
        return "[green]Nothing was lost, nothing stands twice.[/]"
    whose = "" if found.unpromised == len(verdict.producers) else f" of {found.unpromised:,} producers"
    how = "without --expect" if not whose else "for --expect does not name them"
    return (
        "[green]No gap among what arrived, nothing stands twice;[/] "
        f"what may be missing at the end{whose} cannot be told{' ' if not whose else ', '}{how}."
    )


def _of_quarantine(found: Finding, verdict: Verdict) -> Iterator[str]:
    count = verdict.total().quarantined
    if count:
        yield (
            f"[yellow]{count:,} {'record' if count == 1 else 'records'} in quarantine:[/] "
            "see `superhero quarantine list`"
        )
    if found.anonymous:
        letters = "1 letter" if found.anonymous == 1 else f"{found.anonymous:,} letters"
        yield (
            f"[yellow]{letters} in quarantine without a record id,[/] so nothing tells what was in it: "
            "see `superhero quarantine list`"
        )
    if verdict.total().lost and found.letters is None:
        yield "What is missing may be in quarantine: --quarantine looks there."
