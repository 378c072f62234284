"""`superhero game`: how a fight went, turn by turn."""

from __future__ import annotations

import json
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from superhero.commands.query import asked, sink_option
from superhero.ops.fights import Blow, Fight, fight_of
from superhero.ops.printing import stdout_console
from superhero.ops.tables import open_tables

_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
_BAR_WIDTH = 12


@click.command(
    epilog="\b\nExamples:\n  superhero game 8c1f00aa32be9d51\n"
    "  superhero game 8c1f00aa32be9d51 --json\n"
    "  superhero game \"$(superhero query 'select any_value(game_token) from ATTACKS' --csv | tail -1)\""
)
@click.argument("token")
@sink_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the tale.")
def command(token: str, sink: str | None, as_json: bool) -> None:
    """Tell how the game TOKEN went, from the datasets of a sink: who struck whom, and what was left of them.

    Needs the extra `query`.
    """
    with open_tables(asked(sink)) as tables:
        fight = fight_of(tables, token)
    if as_json:
        click.echo(json.dumps(asdict(fight), ensure_ascii=False, indent=1))
    else:
        _tell(fight, stdout_console(highlight=False))


def _tell(fight: Fight, console: Console) -> None:
    names = _names(fight)
    console.print(Text(f"game {fight.game}", style="bold"))
    if fight.blows:
        console.print(_turns(fight, names))
    if fight.podium:
        console.print(_podium(fight, names))
    else:
        console.print("The game is not over yet, or its end has not been ingested.")


def _names(fight: Fight) -> dict[str, Text]:
    """Return everybody's name in a colour of its own, the hero's where it is known."""
    users = [place.user for place in fight.podium] or [
        user for blow in fight.blows for user in (blow.user, blow.enemy)
    ]
    return {
        user: Text(fight.heroes.get(user, user), style=_COLOURS[number % len(_COLOURS)])
        for number, user in enumerate(dict.fromkeys(users))
    }


def _turns(fight: Fight, names: dict[str, Text]) -> Table:
    full: dict[str, int] = {}
    for blow in fight.blows:
        full.setdefault(blow.enemy, blow.health_prior)
    table = Table("turn", "", "", "", "damage", "health left", box=None, pad_edge=False)
    for at in (0, 4):
        table.columns[at].justify = "right"
    table.columns[5].no_wrap = True
    for blow in fight.blows:
        table.add_row(
            str(blow.turn),
            names.get(blow.user, Text(blow.user)),
            "→",
            names.get(blow.enemy, Text(blow.enemy)),
            f"-{blow.damage:,}",
            _health(blow, full[blow.enemy]),
        )
    return table


def _health(blow: Blow, full: int) -> Text:
    if blow.health_post == 0:
        return Text("falls", style="bold red")
    share = blow.health_post / full
    filled = max(round(_BAR_WIDTH * share), 1)
    colour = "green" if share > 0.5 else "yellow" if share > 0.2 else "red"
    return Text.assemble(
        ("█" * filled, colour), ("░" * (_BAR_WIDTH - filled), "dim"), f" {blow.health_post:,} of {full:,}"
    )


def _podium(fight: Fight, names: dict[str, Text]) -> Table:
    table = Table(title="podium", title_justify="left")
    for name in ("rank", "hero", "player", "attacks", "damage delivered", "damage received"):
        table.add_column(name, justify="left" if name in ("hero", "player") else "right")
    for place in fight.podium:
        table.add_row(
            str(place.rank),
            names[place.user],
            place.user,
            f"{place.rounds:,}",
            f"{place.damage_delivered:,}",
            f"{place.damage_received:,}",
            style="bold" if place.rank == 1 else "",
        )
    return table
