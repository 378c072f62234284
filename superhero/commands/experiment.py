"""`superhero experiment`: the three published trials, each ending in a line that says what was lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from superhero.config import explicit_services, from_env
from superhero.ops.depths import sparkline
from superhero.ops.trials import NAMES, Outcome, Size, run_trial

_WORKERS = {"single-worker": 1}
_SEVERAL_WORKERS = 4


@click.command(
    epilog="\b\nExamples:\n  superhero experiment single-worker\n"
    "  superhero experiment many-workers --workers 4 --players 20 --games 50\n"
    "  superhero experiment dead-workers --json > trial.json\n  superhero experiment all"
)
@click.argument("name", type=click.Choice((*NAMES, "all")))
@click.option("--players", default=10, show_default=True, type=click.IntRange(2, 2000), help="Bots.")
@click.option("--games", default=10, show_default=True, type=click.IntRange(1), help="Games each bot plays.")
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Worker processes. [default: 1 for single-worker, 4 for the others]",
)
@click.option("--seed", default=7, show_default=True, type=int, help="What the bots' choices come from.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where data and logs go. [default: var/trials/<time>]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
def command(
    name: str, players: int, games: int, workers: int | None, seed: int, folder: Path | None, as_json: bool
) -> None:
    """Run a trial with real processes on a broker that knows nothing yet, and count what came out.

    \b
    single-worker  one worker
    many-workers   several workers share the work; none may write a game twice
    dead-workers   every worker is killed while bots play, and back afterwards;
                   then once more on a broker that never saw a worker
    all            the three of them

    Exit status 0 only when nothing was lost, doubled or put into quarantine, 1 otherwise.
    """
    settings, console = from_env(), Console(stderr=True)
    folder = folder or Path("var/trials") / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    outcomes: list[Outcome] = []
    with console.status("") as status:
        for each in NAMES if name == "all" else (name,):
            size = Size(players, games, workers or _WORKERS.get(each, _SEVERAL_WORKERS), seed)
            outcomes += run_trial(each, size, settings, folder, explicit_services(), status.update)
    if as_json:
        click.echo(json.dumps([_as_dict(outcome) for outcome in outcomes], indent=2))
    else:
        _print(outcomes, Console(), folder)
    raise SystemExit(0 if all(outcome.clean for outcome in outcomes) else 1)


def _as_dict(outcome: Outcome) -> dict[str, Any]:
    return {**asdict(outcome), "folder": str(outcome.folder), "clean": outcome.clean}


def _print(outcomes: list[Outcome], console: Console, folder: Path) -> None:
    for note in outcomes[0].notes:
        console.print(note, style="dim", highlight=False, soft_wrap=True)
    table = Table("", title="trials", title_justify="left")
    for outcome in outcomes:
        table.add_column(outcome.trial, justify="right")
    for name, cell in _ROWS.items():
        table.add_row(name, *(cell(outcome) for outcome in outcomes))
    console.print(table)
    console.print(f"Data and logs: {folder.resolve()}", soft_wrap=True, highlight=False)


def _depths(outcome: Outcome) -> list[int]:
    return [depth for _, depth in outcome.depths]


def bad(count: int) -> str:
    """Return a number that should be 0, in green when it is and in red when it is not."""
    return f"[bold red]{count}[/]" if count else "[green]0[/]"


# A trial is a column: the table fits a terminal of 80 characters.
_ROWS: dict[str, Callable[[Outcome], str]] = {
    "games completed": lambda outcome: str(outcome.tally.games_completed),
    "games ingested": lambda outcome: str(outcome.tally.games_ingested),
    "games lost": lambda outcome: bad(outcome.tally.games_lost),
    "games duplicated": lambda outcome: bad(outcome.tally.games_duplicated),
    "records logged": lambda outcome: str(outcome.tally.records_emitted),
    "records lost": lambda outcome: bad(outcome.tally.records_lost),
    "records duplicated": lambda outcome: bad(outcome.tally.records_duplicated),
    "in quarantine": lambda outcome: bad(outcome.dead_letters),
    "seconds": lambda outcome: f"{outcome.seconds:.1f}",
    "queue depth, peak": lambda outcome: str(max(_depths(outcome), default=0)),
    "depth over time": lambda outcome: sparkline(_depths(outcome), 10),
}
