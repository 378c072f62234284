"""`superhero leaderboard`: who has played how well."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich.markup import escape
from rich.table import Table

from superhero.commands.query import asked, sink_option
from superhero.ops.printing import stdout_console
from superhero.ops.standings import Player, standings
from superhero.ops.tables import open_tables
from superhero.plural import counted

_MEDALS = {1: "bold yellow", 2: "bold white", 3: "yellow"}


@click.command(
    epilog="\b\nExamples:\n  superhero leaderboard\n  superhero leaderboard --top 100 --json\n"
    "  superhero leaderboard --sink parquet:///lake"
)
@sink_option
@click.option("--top", default=20, show_default=True, type=click.IntRange(1), help="How many to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
def command(sink: str | None, top: int, as_json: bool) -> None:
    """Rank the players by rating (Elo), from the datasets of a sink; users by their public ids.

    Ratings are those in PLAYERS. Where nobody wrote them, the games are replayed in the order of their time.
    Needs the extra `query`.
    """
    with open_tables(asked(sink)) as tables:
        players = standings(tables)
    if as_json:
        rows = [{"place": place, **asdict(each)} for place, each in enumerate(players[:top], start=1)]
        click.echo(json.dumps(rows, indent=1))
    else:
        stdout_console().print(_table(players[:top], len(players)))


def _table(players: list[Player], all_of_them: int) -> Table:
    table = Table(title=f"{len(players):,} of {counted(all_of_them, 'player')}", title_justify="left")
    table.add_column("place", justify="right")
    table.add_column("player", no_wrap=True)
    for name in ("rating", "games", "won", "won %", "damage dealt per damage taken"):
        table.add_column(name, justify="right")
    for place, each in enumerate(players, start=1):
        table.add_row(
            str(place),
            escape(each.user_token),
            f"{each.rating:,}",
            f"{each.games:,}",
            f"{each.won:,}",
            f"{100 * each.won / each.games:.0f}",
            f"{each.damage_delivered / each.damage_received:.2f}" if each.damage_received else "∞",
            style=_MEDALS.get(place, ""),
        )
    return table
