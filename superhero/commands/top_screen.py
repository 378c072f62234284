"""How `superhero top` shows a look: a screen of 80 columns, whatever it holds, or one line."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from superhero.ops.assessment import Finding, Weight, assess
from superhero.ops.depths import sparkline
from superhero.plural import counted

_SPARKS = 24
_STYLES = {Weight.BROKEN: "bold red", Weight.TROUBLE: "yellow", Weight.NOTE: "dim"}
_FEWEST_ROWS = 3
_OTHER_LINES = 16  # of the screen, beside the rows of its two tables

Look = Mapping[str, Any]


class Screen:
    """Remembers what it needs for its curves."""

    def __init__(self) -> None:
        self._past: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_SPARKS))

    def take_in(self, look: Look) -> None:
        """Take a look into the curves."""
        self._past["in"].append(look["records"]["in_per_s"])
        self._past["out"].append(look["records"]["out_per_s"])
        self._past["lag"].append(look["lag_ms"]["p99"] or 0.0)
        for queue in look["queues"]:
            self._past[f"queue {queue['channel']}"].append(queue["depth"])

    def shown(self, look: Look, error: str = "", height: int = 50) -> RenderableType:
        """Return a look as a screen of so many lines; `error` says why there is no younger one."""
        rows = max((height - _OTHER_LINES) // 2, _FEWEST_ROWS)
        return Group(
            self._figures(look),
            Text(),
            self._queues(look["queues"], rows),
            Text(),
            _workers(look["workers"], rows),
            Text(),
            _verdict(look, error),
        )

    def _figures(self, look: Look) -> Table:
        records, lag, games, spool = look["records"], look["lag_ms"], look["games"], look["spool"]
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold")
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_row("superhero", look["time"].replace("T", " ")[:19] + " UTC", "")
        table.add_row("in", f"{records['in']:,}, {records['in_per_s']:,.0f}/s", self._curve("in"))
        table.add_row("out", f"{records['out']:,}, {records['out_per_s']:,.0f}/s", self._curve("out"))
        table.add_row(
            "waiting",
            f"{records['waiting']:,}",
            f"{_zero('lost', records['lost'])}  {_zero('doubled', records['duplicated'])}",
        )
        table.add_row("lag", f"p50 {_ms(lag['p50'])}, p99 {_ms(lag['p99'])}", self._curve("lag"))
        table.add_row("games", f"{games['completed']:,}, {games['per_minute']:,.0f}/min", "")
        table.add_row(
            "spool", f"{counted(spool['records'], 'record')}, {_bytes(spool['bytes'])}", _age(spool)
        )
        table.add_row("quarantine", _zero("", look["quarantine"]), "")
        return table

    def _queues(self, queues: Sequence[Look], rows: int) -> Table:
        table = _table("queue", "waiting", "consumers", "over time")
        table.columns[3].justify = "left"
        for queue in sorted(queues, key=lambda queue: -queue["depth"])[:rows]:
            alone = queue["depth"] and not queue["consumers"]
            table.add_row(
                escape(queue["channel"]),
                f"{queue['depth']:,}",
                f"[red]{queue['consumers']}[/]" if alone else str(queue["consumers"]),
                self._curve(f"queue {queue['channel']}"),
            )
        return _cut(table, len(queues) - rows)

    def _curve(self, name: str) -> str:
        return f"[cyan]{sparkline(list(self._past[name]), _SPARKS)}[/]" if self._past[name] else ""


def line(look: Look) -> str:
    """Return a look as one line of text."""
    records, lag = look["records"], look["lag_ms"]
    depth = sum(queue["depth"] for queue in look["queues"])
    return (
        f"{look['time'][11:19]} in {records['in']:,} ({records['in_per_s']:,.0f}/s), "
        f"out {records['out']:,} ({records['out_per_s']:,.0f}/s), waiting {records['waiting']:,}, "
        f"lost {records['lost']:,}, doubled {records['duplicated']:,}; "
        f"{counted(depth, 'message')} queued, {counted(len(look['workers']), 'worker')}, "
        f"{look['quarantine']:,} in quarantine, "
        f"lag p99 {_ms(lag['p99'])}: {_said(assess(look))}"
    )


def _workers(workers: Sequence[Look], rows: int) -> Table:
    table = _table("worker", "written", "per second", "in hand", "children")
    for worker in workers[:rows]:
        table.add_row(
            escape(worker["name"]),
            f"{worker['written']:,}",
            f"{worker['per_s']:,.0f}",
            f"{worker['in_hand']:,}",
            f"{worker['children']:,}",
        )
    return _cut(table, len(workers) - rows)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, overflow="ellipsis", no_wrap=True, max_width=36)
    for header in others:
        table.add_column(header, justify="right", no_wrap=True)
    return table


def _cut(table: Table, more: int) -> Table:
    if more > 0:
        table.add_row(f"[dim]and {more} more[/]")
    return table


def _verdict(look: Look, error: str) -> RenderableType:
    findings = assess(look)
    lines = [Text(finding.text, style=_STYLES[finding.weight]) for finding in findings]
    if not findings:
        lines = [Text("Nothing is lost, nothing stands twice.", style="bold green")]
    if error:
        lines.insert(0, Text(f"this is the last that was seen; {error}", style="bold red"))
    return Group(*lines)


def _said(findings: Sequence[Finding]) -> str:
    return "; ".join(finding.text for finding in findings) or "all is well"


def _zero(name: str, count: int) -> str:
    style = "bold red" if count else "green"
    return f"{name} [{style}]{count:,}[/]".strip()


def _ms(lag_ms: float | None) -> str:
    if lag_ms is None:
        return "-"
    return f"{lag_ms:,.0f} ms" if lag_ms < 10_000 else f"{lag_ms / 1000:,.0f} s"


def _bytes(size: int) -> str:
    for unit, bytes_of_it in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size >= bytes_of_it:
            return f"{size / bytes_of_it:,.1f} {unit}"
    return f"{size} B"


def _age(spool: Look) -> str:
    return f"oldest {spool['oldest_s']:,.0f} s" if spool["records"] else ""
