"""`superhero heroes`: load heroes into Redis, pull them from Super Hero API, list those who are there."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import click
from rich.markup import escape
from rich.table import Table

from superhero.commands.progress import progress
from superhero.config import from_env, without_password
from superhero.errors import BrokerUnavailable, RosterError
from superhero.eventlog import as_log_record
from superhero.ops.printing import stdout_console
from superhero.plural import counted
from superhero.roster import Hero, listing, read_file, shipped, store, stored
from superhero.roster.pull import FIRST_ID, LAST_ID, HeroApi, Pulled, pull
from superhero.transport import CeleryHandler

_SHOWN_SKIPPED = 10


@click.group(
    epilog="\b\nExamples:\n  superhero heroes load                     those shipped with the package\n"
    "  superhero heroes load heroes.json --add   a file of Super Hero API's shape, beside who is there\n"
    "  SUPERHERO_API_TOKEN=... superhero heroes pull --load\n"
    "  superhero heroes list --json\n"
    "  superhero heroes publish                  those in Redis, into the dataset HEROES"
)
def command() -> None:
    """Load heroes from a file or pull them from Super Hero API."""


@command.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--add", is_flag=True, help="Keep who is there; the same id is replaced.")
def load(file: Path | None, add: bool) -> None:
    """Load the heroes of FILE into Redis (REDIS_URL), or without FILE those shipped with the package.

    FILE is a JSON list of records as Super Hero API serves them. Readers see the old roster or the new one,
    nothing between. Games that run keep the heroes they have.
    """
    _load(shipped() if file is None else read_file(file), add)


@command.command("pull")
@click.option(
    "--to",
    "path",
    default="heroes.json",
    show_default=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write; <file>.part keeps what is there if it is stopped.",
)
@click.option("--first", default=FIRST_ID, show_default=True, type=click.IntRange(0, 65535), help="First id.")
@click.option("--last", default=LAST_ID, show_default=True, type=click.IntRange(0, 65535), help="Last id.")
@click.option("--load", "load_them", is_flag=True, help="Load them into Redis, too.")
def pull_(path: Path, first: int, last: int, load_them: bool) -> None:
    """Pull heroes from Super Hero API into a file; needs SUPERHERO_API_TOKEN.

    Run it again after it was stopped or failed: it goes on where it was.
    """
    if last < first:
        raise click.BadParameter(f"--last {last} lies before --first {first}")
    settings = from_env()
    with HeroApi(settings.superhero_api_url, settings.superhero_api_token) as api:
        pulled = _pull_with_progress(api, path, range(first, last + 1))
    click.echo(f"{counted(len(pulled.heroes), 'hero', 'heroes')} in {path}")
    for hero_id, reason in list(pulled.skipped.items())[:_SHOWN_SKIPPED]:
        click.echo(f"skipped {hero_id}: {reason}", err=True)
    if len(pulled.skipped) > _SHOWN_SKIPPED:
        click.echo(f"skipped {len(pulled.skipped) - _SHOWN_SKIPPED} more", err=True)
    if load_them:
        _load(pulled.heroes, add=False)


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_(as_json: bool) -> None:
    """List the heroes in Redis (REDIS_URL). Exit status 1 when there are none."""
    heroes = stored(from_env().redis_url)
    if as_json:
        rows = [{"id": h.id, "name": h.name, "health": h.health, "attack": h.attack} for h in heroes]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    elif heroes:
        stdout_console().print(_table(heroes))
    else:
        click.echo("no heroes are loaded: superhero heroes load", err=True)
    raise SystemExit(0 if heroes else 1)


@command.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--patience",
    "patience_s",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds to wait for the broker's confirms.",
)
def publish(file: Path | None, patience_s: float) -> None:
    """Log the heroes in Redis (REDIS_URL), or those of FILE, so that workers write them to HEROES.

    `simulate` does that by itself. The same heroes published again change nothing there.
    """
    settings = from_env()
    heroes = stored(settings.redis_url) if file is None else read_file(file)
    if not heroes:
        raise RosterError("no heroes are loaded: superhero heroes load")
    with closing(CeleryHandler(broker_url=settings.broker_url)) as handler:
        for event in listing(heroes):
            handler.handle(as_log_record(event))
        if not handler.flush(patience_s):
            raise BrokerUnavailable(
                f"{without_password(settings.broker_url)} did not confirm within {patience_s:g} s; "
                "run the command again once it is back"
            )
    click.echo(f"{counted(len(heroes), 'hero', 'heroes')} published")


def _load(heroes: list[Hero], add: bool) -> None:
    redis_url = from_env().redis_url
    store(redis_url, heroes, replace=not add)
    how = "added to" if add else "loaded into"
    click.echo(f"{counted(len(heroes), 'hero', 'heroes')} {how} {without_password(redis_url)}")


def _pull_with_progress(api: HeroApi, path: Path, ids: range) -> Pulled:
    with progress("pulling heroes", total=len(ids), unit="heroes") as shown:

        def look(done: int, name: str) -> None:
            shown.to(done)
            shown.say(f"pulled {name[:40]}")

        return pull(api, path, ids, look)


def _table(heroes: list[Hero]) -> Table:
    table = Table(title=counted(len(heroes), "hero", "heroes"), title_justify="left")
    table.add_column("id", justify="right")
    table.add_column("name")
    table.add_column("health", justify="right")
    table.add_column("attack", justify="right")
    for hero in heroes:
        table.add_row(str(hero.id), escape(hero.name), f"{hero.health:,}", f"{hero.attack:,}")
    return table
