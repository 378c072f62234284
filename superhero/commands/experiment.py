"""`superhero experiment`: the three published trials, each ending in a table and a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from superhero.commands import brokers
from superhero.commands.folders import a_folder, folder_option, made
from superhero.commands.progress import progress
from superhero.config import explicit_services, from_env
from superhero.ops.depths import sparkline
from superhero.ops.printing import stdout_console
from superhero.ops.trials import NAMES, Outcome, Size, run_trial, runs
from superhero.reports.files import write
from superhero.reports.trials import as_dict, trials_report

_WORKERS = {"single-worker": 1}
_SEVERAL_WORKERS = 4
_STATUS = "Exit status 0 only when nothing was lost, doubled or put into quarantine, 1 otherwise."
_TRIALS = {
    "single-worker": "One worker ingests while bots play.",
    "many-workers": "Several workers share the work; none may write a game twice.",
    "dead-workers": "Every worker is killed while bots play, and back afterwards; "
    "then once more on a broker that never saw a worker.",
    "all": "The three of them.",
}


@click.group(
    epilog="\b\nExamples:\n  superhero experiment single-worker\n"
    "  superhero experiment many-workers --workers 4 --players 20 --games 50\n"
    "  superhero experiment dead-workers --json > trial.json\n  superhero experiment all\n"
    "  superhero experiment brokers --records 5000"
)
def command() -> None:
    """Run a trial with real processes on a broker that knows nothing yet, and count what came out.

    Each writes report.html beside its data, one file that needs nothing else, with report.json and the plots.
    """


def _trial(name: str, told: str) -> click.Command:
    """Return the command that runs one of the published trials, or all of them."""

    @click.command(name, help=f"{told}\n\n{_STATUS}", short_help=told)
    @click.option("--players", default=10, show_default=True, type=click.IntRange(2, 2000), help="Bots.")
    @click.option(
        "--games", default=10, show_default=True, type=click.IntRange(1), help="Games each bot plays."
    )
    @click.option(
        "--workers",
        type=click.IntRange(1, 64),
        help="Worker processes. [default: 1 for single-worker, 4 for the others]",
    )
    @click.option("--seed", default=7, show_default=True, type=int, help="What the bots' choices come from.")
    @folder_option
    @click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
    def trial(
        players: int, games: int, workers: int | None, seed: int, folder: Path | None, as_json: bool
    ) -> None:
        settings, folder = from_env(), made(folder or a_folder())
        outcomes: list[Outcome] = []
        names = NAMES if name == "all" else (name,)
        with progress(f"{name}: starting", total=sum(map(runs, names))) as shown:
            for each in names:
                size = Size(players, games, workers or _WORKERS.get(each, _SEVERAL_WORKERS), seed)
                outcomes += run_trial(each, size, settings, folder, explicit_services(), shown.say)
                shown.to(len(outcomes))
        shape = f"--players {players} --games {games} --seed {seed}" + (
            f" --workers {workers}" if workers else ""
        )
        report = write(trials_report(outcomes, f"superhero experiment {name} {shape}"), folder)
        if as_json:
            click.echo(json.dumps([as_dict(outcome) for outcome in outcomes], indent=2))
        else:
            _print(outcomes, stdout_console(), folder)
            click.echo(f"Report: {report.resolve()}")
        raise SystemExit(0 if all(outcome.clean for outcome in outcomes) else 1)

    return trial


for _name, _told in _TRIALS.items():
    command.add_command(_trial(_name, _told))
command.add_command(brokers.command)


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
    return [depth for _, depth in outcome.seen.depths]


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
