"""`superhero verify`: what a sink says about what was lost and doubled."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from superhero.config import from_env
from superhero.errors import ServiceError
from superhero.ops.answer_key import read_answer_key
from superhero.ops.datasets import files, folder_of
from superhero.ops.held import Held, HeldEvent, KeyVerdict, hold
from superhero.ops.quarantine import Selection, look
from superhero.ops.readers import is_json_lines, open_reader
from superhero.ops.verify import FIGURES, RECORDS, Expected, Line, Verdict, read_expected, verify

_MOST_LINES = 20
_BAD = {"lost", "duplicated", "unexpected"}


@click.command(
    epilog="\b\nExamples:\n  superhero verify                     the workers' sink: SINKS, else OUTPUT_DIR\n"
    "  superhero verify json:///data --json\n"
    "  superhero verify --expect run.json --quarantine\n\n"
    '\b\nA file for --expect: {"producers": {"host-1-shop.orders": {"emitted": 10, "confirmed": 10}},\n'
    '                      "quarantined": ["host-1-shop.orders:7"]}'
)
@click.argument("sink", required=False)
@click.option(
    "--expect",
    "expect",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What a sink must hold: the answer key of `superhero simulate`, or JSON of what the producers say; "
    "without it only gaps show, not what is missing at the end.",
)
@click.option("--quarantine", is_flag=True, help="Look into the quarantine at BROKER_URL, too.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
def command(sink: str | None, expect: Path | None, quarantine: bool, as_json: bool) -> None:
    """Tell by record ids what was lost or doubled between the logging calls and SINK, a sink's URL.

    Exit status 0 only when nothing was lost or doubled and all is accounted for, 1 otherwise, 2 when that
    cannot be told. Stop the workers first, or let them finish.

    With an answer key every dataset is held against it, row by row; the sink must hold that run alone. Sinks
    other than JSON Lines (parquet:, delta:, postgresql:, mariadb:, sqlite:) can be verified by a key only.
    """
    settings = from_env()
    url = sink or settings.sinks or f"json:{settings.output_dir}"
    key = read_answer_key(expect) if expect else None
    held = hold(open_reader(url), key) if key else None
    if held is not None and not is_json_lines(url):
        _report(None, held, as_json, quarantine)
    folder = folder_of(url)
    expected = read_expected(expect) if expect else Expected()
    if quarantine:
        there = [i for letter in look(settings.broker_url, Selection()) for i in letter.record_ids]
        expected = replace(expected, quarantined=[*expected.quarantined, *there])
    if not (files(folder, RECORDS) or expected.producers):
        raise ServiceError(f"there are no records under {folder.resolve()}; is that where the workers write?")
    _report(verify(folder, expected), held, as_json, quarantine)


def _report(verdict: Verdict | None, held: KeyVerdict | None, as_json: bool, quarantine: bool) -> NoReturn:
    """Print what was found, and exit with the status that says whether it is clean."""
    clean = all(each.clean for each in (verdict, held) if each is not None)
    if as_json:
        told = {**(in_json(verdict) if verdict else {}), **({"key": asdict(held)} if held else {})}
        click.echo(json.dumps({**told, "clean": clean}, indent=1))
    else:
        console = Console()
        if held is not None:
            console.print(_key_table(held))
            console.print(
                "[green]As the answer key says.[/]" if held.clean else "[red]Not as the key says.[/]"
            )
        if verdict is not None:
            _print(verdict, console, looked_into_quarantine=quarantine)
    raise SystemExit(0 if clean else 1)


def _key_table(held: KeyVerdict) -> Table:
    table = Table("dataset or event", "expected", "found", "", title="the answer key", title_justify="left")
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


def in_json(verdict: Verdict) -> dict[str, object]:
    """Return a verdict JSON-ready: clean, the total, per channel, per producer, games, attacks, files."""
    channels = [asdict(line) for line in verdict.channels()]
    return {"clean": verdict.clean, "total": asdict(verdict.total()), "channels": channels, **asdict(verdict)}


def _print(verdict: Verdict, console: Console, *, looked_into_quarantine: bool) -> None:
    console.print(_records(verdict))
    for line in (line for line in verdict.producers if line.examples):
        console.print(f"  [red]look at[/] {escape(', '.join(line.examples))}", highlight=False)
    console.print(_datasets(verdict))
    for path in verdict.torn:
        console.print(f"  [red]torn[/] the last line of {escape(path)} has no end", highlight=False)
    for path, lines in verdict.unreadable.items():
        console.print(f"  [red]unreadable[/] {lines} lines of {escape(path)}", highlight=False)
    if verdict.clean:
        console.print("[green]Nothing was lost, nothing stands twice.[/]")
        return
    console.print("[red]Something was lost or doubled, or cannot be accounted for.[/]")
    if verdict.total().lost and not looked_into_quarantine:
        console.print("What is missing may be in quarantine: --quarantine looks there.")


def _records(verdict: Verdict) -> Table:
    table = Table("channel", "producer", *FIGURES, title="records", title_justify="left")
    for column in table.columns[2:]:
        column.justify = "right"
    for line in _lines(verdict):
        table.add_row(escape(line.channel), escape(line.producer), *_figures(line))
    table.add_section()
    table.add_row("all", verdict.total().producer, *_figures(verdict.total()))
    return table


def _lines(verdict: Verdict) -> list[Line]:
    """Return a line per producer; where they are many, per channel, and per producer that is not clean."""
    if len(verdict.producers) <= _MOST_LINES:
        return verdict.producers
    return [*verdict.channels(), *[line for line in verdict.producers if not line.clean][:_MOST_LINES]]


def _figures(line: Line) -> list[str]:
    return [_figure(getattr(line, name), bad=name in _BAD) for name in FIGURES]


def _figure(number: int, *, bad: bool) -> str:
    return f"[red]{number:,}[/]" if bad and number else f"{number:,}"


def _datasets(verdict: Verdict) -> Table:
    games, attacks = verdict.games, verdict.attacks
    heads = ("recorded", "written", "lost", "duplicated", "wrong", "unexpected")
    table = Table("", *heads, title="datasets beside the records", title_justify="left")
    rows = {
        "games": (
            games.completed,
            games.ingested,
            games.lost,
            games.duplicated,
            games.wrong,
            games.unexpected,
        ),
        "attacks": (
            attacks.recorded,
            attacks.written,
            attacks.lost,
            attacks.duplicated,
            0,
            attacks.unexpected,
        ),
    }
    for name, figures in rows.items():
        table.add_row(name, *(_figure(number, bad=at > 1) for at, number in enumerate(figures)))
    return table
