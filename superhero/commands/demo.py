"""`superhero demo`: the whole pipeline once, from a fight to a file, with a table of what came out."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from superhero.commands.experiment import bad
from superhero.commands.folders import a_folder, made
from superhero.commands.progress import progress
from superhero.config import Settings, explicit_services, from_env
from superhero.ops.depths import dead_letters
from superhero.ops.printing import stdout_console
from superhero.ops.processes import Process
from superhero.ops.run import PipelineRun, Played, played
from superhero.ops.services import open_services
from superhero.ops.tally import Tally, count_files, tally
from superhero.ops.waiting import wait_until
from superhero.plural import counted

_PLAY_TIMEOUT_S = 3600.0
_DATASETS = ("GAME_META", "GAME_PODIUM", "ATTACKS", "PLAYERS", "RECORDS")


@click.command(
    epilog="\b\nExamples:\n  superhero demo\n  superhero demo --players 50 --games 20 --workers 2\n"
    "  superhero demo --broker amqp://host:5672// --redis redis://host:6379/0\n"
    "  BROKER_URL=amqp://me:secret@host:5672// superhero demo    a password stays off the command line"
)
@click.option("--players", default=10, show_default=True, type=click.IntRange(2, 2000), help="Bots.")
@click.option("--games", default=10, show_default=True, type=click.IntRange(1), help="Games each bot plays.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
@click.option("--seed", default=7, show_default=True, type=int, help="What the bots' choices come from.")
@click.option("--broker", metavar="URL", help="Broker, amqp:// or redis://. [default: BROKER_URL]")
@click.option("--redis", metavar="URL", help="Redis for the games' state. [default: REDIS_URL]")
@click.option("--embedded", is_flag=True, help="Use the embedded server even where RabbitMQ and Redis are.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where data and logs go. [default: var/demo/<time>]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
def command(
    players: int,
    games: int,
    workers: int,
    seed: int,
    broker: str | None,
    redis: str | None,
    embedded: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Let bots fight, ingest every record of it, and show what went in and what came out.

    RabbitMQ and Redis are used where they answer, in a vhost and database made for this run; where they do
    not, an embedded server stands in. Exit status 0 only when nothing is missing and nothing is doubled.
    """
    settings = _chosen(from_env(), broker, redis)
    explicit = explicit_services() or bool(broker or redis)
    folder = made(folder or a_folder("demo"))
    console = Console(stderr=True)
    began = time.monotonic()
    where = open_services(
        settings, workdir=folder / "services", explicit=explicit, fresh=True, embedded=embedded
    )
    with where as services, PipelineRun(services, folder) as run:
        for note in services.notes:
            console.print(note, style="dim", highlight=False, soft_wrap=True)
        with console.status("starting the simulator and the workers"):
            run.start_server()
            run.start_workers(workers, concurrency=1)
        bots = run.start_bots(players, games, seed)
        report = _watch(run, bots)
        tallied = tally(run.output_dir, report.game_tokens, run.emitted())
        run.stop()
        quarantined = dead_letters(services.broker_url)
    clean = tallied.clean and quarantined == 0
    if as_json:
        facts = {**asdict(tallied), "quarantined": quarantined, "clean": clean, "notes": services.notes}
        click.echo(json.dumps(facts | {"games_per_minute": report.games_per_minute}, indent=2))
    else:
        _print(report, tallied, quarantined, run.output_dir, time.monotonic() - began)
    raise SystemExit(0 if clean else 1)


def _chosen(settings: Settings, broker: str | None, redis: str | None) -> Settings:
    # By the rules of the variables.
    given = from_env({"BROKER_URL": broker or "", "REDIS_URL": redis or ""})
    return replace(
        settings,
        broker_url=given.broker_url if broker else settings.broker_url,
        redis_url=given.redis_url if redis else settings.redis_url,
    )


def _watch(run: PipelineRun, bots: Process) -> Played:
    """Show how much is logged and written until the bots are done and everything is written."""
    with progress("bots fight, workers write", unit="records") as shown:

        def look(written: int) -> None:
            shown.to(written, max(run.emitted(), written, 1))

        def over() -> bool:
            look(run.written())
            return not bots.running

        wait_until(over, _PLAY_TIMEOUT_S)
        report = played(bots, _PLAY_TIMEOUT_S)
        run.wait_until_written(look)
    return report


def _print(report: Played, tallied: Tally, quarantined: int, output_dir: Path, seconds: float) -> None:
    console = stdout_console()
    table = Table("", title="what went in, what came out", title_justify="left")
    for column in ("in", "out", "missing", "doubled"):
        table.add_column(column, justify="right")
    games = (tallied.games_completed, tallied.games_ingested, tallied.games_lost, tallied.games_duplicated)
    records = (
        tallied.records_emitted,
        tallied.records_written,
        tallied.records_lost,
        tallied.records_duplicated,
    )
    for name, (went_in, came_out, missing, doubled) in {"games": games, "log records": records}.items():
        table.add_row(name, str(went_in), str(came_out), bad(missing), bad(doubled))
    console.print(table)
    console.print(
        f"{report.games_per_minute:,.0f} games per minute; {counted(quarantined, 'message')} in quarantine; "
        f"{seconds:.1f} s in all.",
        highlight=False,
    )
    console.print(f"Files under {output_dir / 'superhero'}:", highlight=False, soft_wrap=True)
    for dataset in _DATASETS:
        count = count_files(output_dir, dataset)
        console.print(f"  {dataset:<12} {counted(count, 'file')}", highlight=False)
