"""How `superhero quarantine` shows letters: a list that cuts no id, and one letter whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from superhero.ops.quarantine import DeadLetter

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHOWN_BYTES = 4000
_NARROWEST = {"channel": 12, "error": 24}
_HEADS = ("id", "channel", "reason", "age", "bytes", "records", "error")


def print_list(rows: Sequence[tuple[str, ...]], console: Console) -> None:
    """Print a table, with the errors beneath where they find no room in it."""
    table = _table(_HEADS, rows)
    if _narrowest(table) > console.width:
        table = _table(_HEADS[:-1], [row[:-1] for row in rows])
    # Wider than the screen at worst: an id that is cut is of no use.
    console.width = max(console.width, _narrowest(table))
    console.print(table)
    if len(table.columns) < len(_HEADS):
        for row in rows:
            console.print(f"{row[0]}: {row[-1]}", markup=False, highlight=False, soft_wrap=True)


def _table(heads: Sequence[str], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table()
    for head, *cells in zip(heads, *rows, strict=True):
        # The id and the reason are what other commands take: they are never broken or cut.
        width = _NARROWEST.get(head) or max(map(len, (head, *cells)))
        table.add_column(head, min_width=width, overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _narrowest(table: Table) -> int:
    return sum((column.min_width or 0) + len(" │ ") for column in table.columns) + len("│")


def row(dead: DeadLetter, now: datetime) -> tuple[str, ...]:
    """Return what the list shows of a letter."""
    age_s = dead.age_s(now)
    return (
        dead.id,
        dead.letter.channel,
        dead.letter.reason,
        "?" if age_s is None else _age(age_s),
        str(len(dead.body)),
        str(len(dead.record_ids) or ""),
        dead.letter.error[:120],
    )


def _age(seconds: float) -> str:
    for unit in ("d", "h", "m"):
        if seconds >= UNITS_S[unit]:
            return f"{seconds / UNITS_S[unit]:.0f}{unit}"
    return f"{max(seconds, 0):.0f}s"


def print_letter(dead: DeadLetter, console: Console) -> None:
    """Print a letter whole, but for a body that is very long."""
    table = Table("what", "value", title=f"letter {dead.id}", title_justify="left")
    age_s = dead.age_s(datetime.now(UTC))
    facts = {
        "channel": dead.letter.channel,
        "reason": dead.letter.reason,
        "error": dead.letter.error,
        "time": dead.letter.time + (f" ({_age(age_s)} ago)" if age_s is not None else ""),
        "records": ", ".join(dead.record_ids[:20]),
        "content type": f"{dead.message.content_type} {dead.message.content_encoding}",
        **{f"header {name}": str(value) for name, value in dead.message.headers.items()},
    }
    for name, value in facts.items():
        table.add_row(escape(name), escape(value[:_SHOWN_BYTES]))
    console.print(table)
    size = len(dead.body)
    console.print(f"body, {size} bytes" + (f", the first {_SHOWN_BYTES}:" if size > _SHOWN_BYTES else ":"))
    console.print(dead.body[:_SHOWN_BYTES].decode("utf-8", "backslashreplace"), markup=False, highlight=False)
