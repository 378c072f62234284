"""`superhero experiment brokers`: the same records through one broker after the other, in the same trials."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from superhero.brokers.arms import ARMS
from superhero.brokers.bout import TRIALS, Load
from superhero.brokers.comparison import Comparison, Result, Say, compare
from superhero.commands.folders import a_folder, folder_option, made
from superhero.config import explicit_services, from_env
from superhero.ops.printing import stdout_console
from superhero.plural import counted
from superhero.reports.brokers import brokers_report, figure, millis, shown_trial, tone
from superhero.reports.files import write

_STYLES = {"good": "green", "warn": "yellow", "bad": "bold red"}


def _named(context: click.Context, parameter: click.Parameter, text: str) -> tuple[str, ...]:
    """Return the brokers that were asked for, in our order."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in (*ARMS, "all")]
    if unknown or not names:
        raise click.BadParameter(f"no broker is called {', '.join(unknown)}; there are {', '.join(ARMS)}")
    return tuple(ARMS) if "all" in names else tuple(name for name in ARMS if name in names)


@click.command(
    "brokers",
    short_help="The same records through one broker after the other.",
    epilog="\b\nBrokers:\n"
    + "\n".join(f"  {arm.name:<17} {arm.title}" for arm in ARMS.values())
    + "\n\n\b\nTrials:\n"
    + "\n".join(f"  {trial.name:<17} {trial.told}" for trial in TRIALS),
)
@click.option("--brokers", "names", default="all", show_default=True, callback=_named, metavar="NAME,...")
@click.option("--records", default=2000, show_default=True, type=click.IntRange(10), help="In each trial.")
@click.option(
    "--rate",
    default=500.0,
    show_default=True,
    type=click.FloatRange(1, 100_000),
    help="A second, when steady.",
)
@click.option(
    "--workers", default=4, show_default=True, type=click.IntRange(2, 32), help="Where there are several."
)
@click.option("--seed", default=7, show_default=True, type=int, help="What the records come from.")
@folder_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
def command(
    names: tuple[str, ...],
    records: int,
    rate: float,
    workers: int,
    seed: int,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Send the same records through each broker, kill its workers, and count what was lost and doubled.

    Each with real processes: a producer, workers that write a line per record, killed with -9. Takes some
    minutes. Exit status 0 when ours lost and doubled nothing, whatever became of the others; 1 otherwise.
    """
    settings, folder = from_env(), made(folder or a_folder())
    load = Load(records, rate, workers, seed)
    with _progress(len(names) * len(TRIALS)) as say:
        found = compare(names, load, settings, folder, explicit=explicit_services(), say=say)
    shape = f"--records {records} --rate {rate:g} --workers {workers} --seed {seed}"
    chosen = "" if names == tuple(ARMS) else f" --brokers {','.join(names)}"
    report = brokers_report(found, f"superhero experiment brokers {shape}{chosen}")
    page = write(report, folder)
    if as_json:
        click.echo(json.dumps(report.facts, indent=2))
    else:
        _print(found)
        click.echo(f"Data and logs: {folder.resolve()}\nReport: {page.resolve()}")
    raise SystemExit(0 if found.ours_clean else 1)


@contextmanager
def _progress(total: int) -> Iterator[Say]:
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("starting", total=total)
        said = 0

        def say(what: str) -> None:
            nonlocal said
            progress.update(bar, description=what, completed=said)
            said += 1

        yield say


def _print(found: Comparison) -> None:
    console = stdout_console()
    for note in found.notes:
        console.print(note, style="dim", highlight=False, soft_wrap=True)
    load = found.load
    title = f"{counted(load.records, 'record')}; in each trial: lost / doubled"
    table = Table("broker", title=title, title_justify="left")
    for column in ("records/s", "p50 ms", "p99 ms", "CPU s", "MB", *(trial.name for trial in TRIALS)):
        table.add_column(column, justify="right")
    for result in found.results:
        if not result.skipped:
            table.add_row(*_cells(result))
    console.print(table)
    for result in found.results:
        said = f"skipped: {result.skipped}" if result.skipped else result.settings
        console.print(f"[bold]{result.title}[/]  {escape(said)}", highlight=False, soft_wrap=True)


def _cells(result: Result) -> Iterator[str]:
    first, second = result.came[0], result.came[1]
    yield f"[bold]{result.title}[/]" if result.name == "superhero" else result.title
    yield f"{first.rate:,.0f}"
    yield from (millis(second.p50_ms), millis(second.p99_ms))
    yield figure(first.cpu_s)
    yield "–" if first.memory_bytes is None else f"{first.memory_bytes / 1e6:,.0f}"
    for came in result.came:
        yield f"[{_STYLES[tone(came)]}]{shown_trial(came)}[/]"
