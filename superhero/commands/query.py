"""`superhero query`: SQL over what the workers wrote."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from superhero.commands.progress import progress
from superhero.config import from_env
from superhero.ops.printing import stdout_console
from superhero.ops.sources import Source, source_of
from superhero.ops.tables import Answer, open_tables

_SHOWN = 1000

sink_option = click.option(
    "--sink", metavar="URL", help="json:, parquet: or delta: and a folder. [default: SINKS, else OUTPUT_DIR]"
)


@click.command(
    epilog="\b\nExamples:\n  superhero query                       the datasets and their columns\n"
    '  superhero query "select event, count(*) from RECORDS group by 1"\n'
    '  superhero query "from GAME_PODIUM where rank = 1" --csv > winners.csv\n'
    "  superhero query \"select payload->>'user' from RECORDS\" --json | head"
)
@click.argument("sql", required=False)
@sink_option
@click.option("--csv", "form", flag_value="csv", help="Print CSV with a head line.")
@click.option("--json", "form", flag_value="json", help="Print a JSON object a row.")
def command(sql: str | None, sink: str | None, form: str | None) -> None:
    """Ask the datasets of a sink in SQL (DuckDB's), a view for each; `-` reads the query from stdin.

    Rows are read as they stand at that moment; nothing is changed and nothing but the sink is read. Times are
    in UTC. `payload` and `extra` are JSON: payload->>'user'. Needs the extra `query`.
    """
    if sql == "-":
        sql = sys.stdin.read()
    with open_tables(asked(sink)) as tables:
        with progress("asking"):
            answer = tables.ask(sql or _columns(tables.names))
        if form == "csv":
            _print_csv(answer)
        elif form == "json":
            _print_json(answer)
        else:
            _print_table(answer)


def asked(sink: str | None) -> Source:
    """Return the sink of that URL, or the workers'."""
    settings = from_env()
    return source_of(sink or settings.sinks or f"json:{settings.output_dir}")


def _columns(names: Sequence[str]) -> str:
    """Return a query for the columns of all datasets."""
    listed = ", ".join(f"'{name}'" for name in names)
    return f"""
        SELECT table_name AS dataset,
               string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) AS columns
        FROM information_schema.columns WHERE table_name IN ({listed}) GROUP BY 1 ORDER BY 1
    """


def _print_csv(answer: Answer) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([_plain(value) for value in row] for row in answer.rows)


def _print_json(answer: Answer) -> None:
    for row in answer.rows:
        cells = dict(zip(answer.columns, map(_plain, row), strict=False))
        click.echo(json.dumps(cells, ensure_ascii=False, separators=(",", ":"), default=str))


def _print_table(answer: Answer) -> None:
    rows = list(islice(answer.rows, _SHOWN + 1))
    table = Table(*map(escape, answer.columns))
    for column, values in zip(table.columns, zip(*rows, strict=False), strict=False):
        if any(isinstance(value, int | float) for value in values):
            column.justify = "right"
    for row in rows[:_SHOWN]:
        table.add_row(*(escape(_cell(value)) for value in row))
    console = stdout_console()
    console.print(table)
    if len(rows) > _SHOWN:
        console.print(f"The first {_SHOWN:,} rows; --csv and --json print them all.")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if type(value) is int:
        return f"{value:,}"
    return str(_plain(value))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime | date) else value
