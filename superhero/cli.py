"""The composition root: the command `superhero`, whose parts are imported only when they are used."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import click

from superhero.config import from_env
from superhero.errors import SuperheroError
from superhero.loglines import format_handlers, in_json

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is, and its line in `--help`, so that help imports nothing."""

    module: str
    help: str


COMMANDS: Mapping[str, Entry] = {
    name: Entry(f"superhero.commands.{name}", text)
    for name, text in {
        "demo": "Run the whole pipeline once and show that nothing was lost or doubled.",
        "experiment": "Run the published trials, or brokers side by side, each with a report.",
        "chaos": "Break the pipeline in every way it must bear, and count what came of it.",
        "serve": "Run the simulator's WebSocket server.",
        "play": "Let bots play games on a server.",
        "simulate": "Play games without sockets, as fast as it goes.",
        "heroes": "Load heroes from a file or pull them from Super Hero API.",
        "top": "Show the running pipeline: rates, queues, workers, lag, verdict.",
        "metrics": "Show the pipeline to Prometheus: one endpoint for all of it.",
        "verify": "Tell from a sink what was lost or doubled; exit status 0 when nothing was.",
        "compact": "Merge the many small files of JSON Lines and Delta Lake, while all goes on.",
        "query": "Ask the datasets in SQL: table, CSV or JSON out.",
        "leaderboard": "Rank the players by rating, games won and damage.",
        "game": "Tell how a game went, turn by turn.",
        "quarantine": "List, show, replay, purge, save or restore what could not be processed.",
        "doctor": "Say which service is reachable, and how to get what is missing.",
        "flower": "Run Flower, the workers' web page, behind a password.",
    }.items()
}

EPILOG = """\b
Examples:
  superhero doctor                          what is here and what is missing
  superhero demo                            the whole pipeline, from a fight to a file
  superhero serve                           the simulator, on ws://127.0.0.1:8765
  superhero play --players 10 --games 10    bots that fight on it
  celery -A tasks worker --concurrency 4    workers that ingest what is logged
  superhero experiment dead-workers         a trial, with a table of what was lost

\b
Settings come from the environment: BROKER_URL, REDIS_URL, OUTPUT_DIR, ...;
`superhero doctor` shows them all.
"""


class LazyGroup(click.Group):
    """A group that imports a command when it is called and prints errors of ours as one message."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for an unknown name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = importlib.import_module(entry.module).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{entry.module}.command is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run; an error of ours is one message on stderr and status 2, Ctrl-C status 130."""
        try:
            return super().main(*args, **kwargs)
        except SuperheroError as error:
            _complain(str(error))
            sys.exit(EXIT_ERROR)

    def invoke(self, ctx: click.Context) -> Any:
        """Invoke a command; click would make status 1 of a Ctrl-C."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


def _version() -> str:
    try:
        return version("superhero")
    except PackageNotFoundError:
        return "(not installed)"


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="superhero")
def main() -> None:
    """Superheroes fight over WebSocket; every log record of it becomes a file, none lost, none twice."""
    settings = from_env()
    if settings.log_format == "json":
        logging.basicConfig(level=settings.log_level)
        format_handlers(logging.getLogger())


def _complain(text: str) -> None:
    """Say on stderr why a command ends: as a line of the log, where that is JSON."""
    if in_json():
        logging.getLogger("superhero").critical("%s", text)
    else:
        click.secho(f"Error: {text}", fg="red", err=True)
