"""Show how a chaos run came out: a line per fault, ours beside plain Celery, as a table or as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from superhero.chaos.account import Count
from superhero.chaos.verdict import Row, Verdict
from superhero.ops import verify
from superhero.ops.printing import stdout_console


@dataclass(frozen=True, slots=True)
class Line:
    """All windows of one fault. `recovered_s` is the longest; None when one was never got over.

    A window of two faults counts for the first of them.
    """

    name: str
    times: int
    records: int
    kills: int
    lost: int
    duplicated: int
    expected: int
    unexpected: int
    recovered_s: float | None
    plain: Count | None
    plain_recovered_s: float | None
    not_injected: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()


def lines(rows: tuple[Row, ...]) -> list[Line]:
    """Add up the windows of each fault, in the order in which faults came first."""
    by_name: dict[str, list[Row]] = {}
    for row in rows:
        by_name.setdefault(row.faults[0], []).append(row)
    return [_added_up(name, group) for name, group in by_name.items()]


def _added_up(name: str, rows: list[Row]) -> Line:
    plain = [row.plain for row in rows if row.plain]
    return Line(
        name=name,
        times=len(rows),
        records=sum(row.records for row in rows),
        kills=sum(row.kills for row in rows),
        lost=sum(row.lost for row in rows),
        duplicated=sum(row.duplicated for row in rows),
        expected=sum(row.expected for row in rows),
        unexpected=sum(row.unexpected for row in rows),
        recovered_s=_longest([row.recovered_s for row in rows]),
        plain=_sum(plain) if plain else None,
        plain_recovered_s=_longest([row.plain_recovered_s for row in rows]),
        not_injected=tuple(row.not_injected for row in rows if row.not_injected),
        complaints=tuple(complaint for row in rows for complaint in row.complaints),
    )


def _longest(seconds: list[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return max(known) if len(known) == len(seconds) else None


def _sum(counts: list[Count]) -> Count:
    return Count(
        records=sum(count.records for count in counts),
        lost=sum(count.lost for count in counts),
        duplicated=sum(count.duplicated for count in counts),
        quarantined=0,
    )


def as_dict(verdict: Verdict) -> dict[str, Any]:
    """Return everything, JSON-ready."""
    return {
        "clean": verdict.clean,
        "faults": [asdict(line) for line in lines(verdict.rows)],
        "not_in_sql": verdict.not_in_sql,
        "by_record_id": [_by_record_id(each) for each in verdict.by_record_id],
        "windows": [{**asdict(row), "clean": row.clean} for row in verdict.rows],
        "in_flight_at_kills": verdict.in_flight,
        "refused_by_plain_celery": verdict.refused_plain,
    }


def show(verdict: Verdict, folder: Path) -> None:
    """Print the table, why faults could not be brought about, and where everything is."""
    console = stdout_console()
    shown = lines(verdict.rows)
    with_plain = any(line.plain for line in shown)
    table = Table(title="superhero beside plain Celery" if with_plain else "superhero", title_justify="left")
    table.add_column("fault", no_wrap=True)
    for column in ("times", "records", "kills", "lost", "doubled", "quarantined", "wrongly", "back in s"):
        table.add_column(column, justify="right")
    for column in ("lost", "doubled", "back in s") if with_plain else ():
        table.add_column(f"Celery:\n{column}", justify="right")
    for line in shown:
        table.add_row(*_cells(line, with_plain))
    table.add_section()
    table.add_row(*_cells(_total(shown), with_plain), style="bold")
    console.print(table)
    for line in shown:
        for reason in line.not_injected:
            console.print(f"[bold red]{line.name} could not be brought about:[/] {reason}", highlight=False)
        for complaint in line.complaints:
            console.print(f"[bold red]{line.name}:[/] {complaint}", highlight=False)
    for each in verdict.by_record_id:
        console.print(_sentence(each), highlight=False, soft_wrap=True)
    if verdict.not_in_sql is not None:
        console.print(f"Of what stands in the JSON Lines {verdict.not_in_sql} are not in the database.")
    console.print(f"Data and logs: {folder.resolve()}", soft_wrap=True, highlight=False)


def _sentence(verified: verify.Verdict) -> str:
    total, games = verified.total(), verified.games
    return (
        f"By record ids {'[green]likewise[/]' if verified.clean else '[bold red]otherwise[/]'}: "
        f"{total.written:,} written, {total.lost} lost, {total.duplicated} doubled, "
        f"{total.unexpected} unexpected, {total.quarantined} in quarantine; "
        f"{games.ingested:,} of {games.completed:,} games stand whole."
    )


def _by_record_id(verified: verify.Verdict) -> dict[str, Any]:
    facts = asdict(verified)
    del facts["producers"]  # one line per process and channel
    examples = [example for line in verified.producers for example in line.examples]
    return {"clean": verified.clean, "total": asdict(verified.total()), "examples": examples, **facts}


def _total(shown: list[Line]) -> Line:
    plain = [line.plain for line in shown if line.plain]
    return Line(
        name="all",
        times=sum(line.times for line in shown),
        records=sum(line.records for line in shown),
        kills=sum(line.kills for line in shown),
        lost=sum(line.lost for line in shown),
        duplicated=sum(line.duplicated for line in shown),
        expected=sum(line.expected for line in shown),
        unexpected=sum(line.unexpected for line in shown),
        recovered_s=_longest([line.recovered_s for line in shown]),
        plain=_sum(plain) if plain else None,
        plain_recovered_s=_longest([line.plain_recovered_s for line in shown]),
    )


def _cells(line: Line, with_plain: bool) -> list[str]:
    cells = [
        line.name,
        str(line.times),
        f"{line.records:,}",
        str(line.kills),
        *(_bad(count) for count in (line.lost, line.duplicated)),
        str(line.expected),
        _bad(line.unexpected),
        _seconds(line.recovered_s),
    ]
    if with_plain and line.plain:
        cells += [f"{line.plain.lost:,}", f"{line.plain.duplicated:,}", _seconds(line.plain_recovered_s)]
    return cells


def _seconds(seconds: float | None) -> str:
    return "[bold red]never[/]" if seconds is None else f"{seconds:.1f}"


def _bad(count: int) -> str:
    return f"[bold red]{count:,}[/]" if count else "[green]0[/]"
