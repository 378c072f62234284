"""`superhero play`: bots that play games on a server."""

from __future__ import annotations

import asyncio
import json
import random
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import click
import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from superhero.client import Bot
from superhero.commands.participants import participants_option
from superhero.config import from_env, without_password
from superhero.crowd import Crowd, Score, allow_connections, check_split
from superhero.ops.printing import stdout_console
from superhero.plural import counted
from superhero.service_urls import check_url

_CONNECTING = 64  # bots of a crowd that connect at a time
_MOST_SEEDS = 1 << 32
_LINE_EVERY_S = 60.0


@click.command(
    epilog="\b\nExamples:\n  superhero play --players 10 --games 10 --seed 7\n"
    "  superhero play --players 500 --games 2 --participants 2-10\n"
    "  superhero play --forever --url ws://127.0.0.1:8765 --url ws://127.0.0.1:8766"
)
@click.option("--players", default=10, show_default=True, type=click.IntRange(2, 20_000), help="Bots.")
@click.option("--games", default=10, show_default=True, type=click.IntRange(1), help="Games each bot plays.")
@click.option("--forever", is_flag=True, help="Go on until SIGTERM or Ctrl-C; --games does not count.")
@participants_option
@click.option(
    "--seed",
    type=click.IntRange(0),
    help="Groups and choices follow from it, and the bots' names. Without it: random.",
)
@click.option(
    "--name-prefix",
    help="The bots are the users <prefix>-0, <prefix>-1, ... Default: bot-<seed>. Two processes that play at "
    "the same time must not share it: they would be the same users.",
)
@click.option("--url", "urls", multiple=True, help="Server, may be repeated. Default: SERVER_URL.")
@click.option(
    "--patience",
    "patience_s",
    default=300.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds without progress after which a bot gives up; more than the server's LOBBY_TIMEOUT.",
)
@click.option(
    "--as-published", is_flag=True, help="A new connection for every request, as published clients."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def command(
    players: int,
    games: int,
    forever: bool,
    participants: tuple[int, int],
    seed: int | None,
    name_prefix: str | None,
    urls: tuple[str, ...],
    patience_s: float,
    as_published: bool,
    as_json: bool,
) -> None:
    """Let bots play games on a server.

    They play in rounds: in each, the players are split into groups so that every game fills, and the next
    begins when all games of the round are over. The same seed gives the same groups and dice; who meets whom
    also depends on the order in which the server hears them.

    Exit status 0 when every game came to a winner, 1 when one did not.
    """
    check_split(players, participants)
    allow_connections(players)
    seed = secrets.randbelow(_MOST_SEEDS) if seed is None else seed
    prefix = f"bot-{seed}" if name_prefix is None else name_prefix
    gate = asyncio.Semaphore(_CONNECTING)
    settings = from_env()
    addresses = _checked(urls or (settings.server_url,))
    bots = [
        Bot(
            f"{prefix}-{number}",
            [*addresses[number % len(addresses) :], *addresses[: number % len(addresses)]],
            random.Random(f"{seed}:{number}"),
            patience_s=patience_s,
            as_published=as_published,
            secret=settings.server_secret,
            gate=gate,
        )
        for number in range(players)
    ]
    with _progress(None if forever else players * games, forever=forever, hidden=as_json) as show:
        crowd = Crowd(bots, random.Random(f"{seed}"), participants, keep_tokens=not forever, on_outcome=show)
        try:
            uvloop.run(_play(crowd, None if forever else games))
        finally:
            _print(crowd.score, players, seed, as_json)
    finished = forever or crowd.score.rounds == games
    raise SystemExit(0 if finished and crowd.score.all_completed else 1)


async def _play(crowd: Crowd, rounds: int | None) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, crowd.stop)
    await crowd.play(rounds)


def _checked(urls: Sequence[str]) -> Sequence[str]:
    for url in urls:
        try:
            check_url(url)
        except ValueError as error:
            raise click.BadParameter(f"of a server's URL {error}") from error
        if urlsplit(url).scheme not in ("ws", "wss") or not urlsplit(url).hostname:
            raise click.BadParameter(f"{without_password(url)!r} must be ws://host:port or wss://host:port")
    return urls


@contextmanager
def _progress(total: int | None, *, forever: bool, hidden: bool) -> Iterator[Callable[[Score], None]]:
    """Yield a function that shows a score: as a bar on a terminal; elsewhere in lines, if it goes on."""
    console = Console(stderr=True)
    if forever and not hidden and not console.is_terminal:
        yield Minutes(lambda line: click.echo(line, err=True)).show
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[games]:,} games, {task.fields[rate]:,.0f} per minute"),
        TimeElapsedColumn(),
        *([] if forever else [TimeRemainingColumn()]),
    )
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal) as bar:
        task = bar.add_task("playing", total=total, games=0, rate=0.0)
        begun = time.monotonic()

        def show(score: Score) -> None:
            rate = 60 * score.games_completed / (time.monotonic() - begun)
            bar.update(task, completed=score.players_done, games=score.games_completed, rate=rate)

        yield show


class Minutes:
    """Says once a minute what was played: a sign of life in a log."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._last_s = clock()
        self._last_games = 0

    def show(self, score: Score) -> None:
        """Take in a score, and say it when its minute has come."""
        passed_s = self._clock() - self._last_s
        if passed_s < _LINE_EVERY_S:
            return
        rate = 60 * (score.games_completed - self._last_games) / passed_s
        self._say(
            f"{counted(score.games_completed, 'game')} completed, {rate:,.0f} per minute; "
            f"{score.games_timed_out:,} timed out, "
            f"{counted(score.failed, 'time')} a player could not finish one"
        )
        self._last_s += passed_s
        self._last_games = score.games_completed


def _print(score: Score, players: int, seed: int, as_json: bool) -> None:
    if as_json:
        report = {
            "games_completed": score.games_completed,
            "games_timed_out": score.games_timed_out,
            "failed": score.failed,
            "attacks": score.attacks,
            "seconds": round(score.seconds, 3),
            "games_per_minute": round(score.games_per_minute, 1),
            "seed": seed,
            "game_tokens": score.tokens,
        }
        click.echo(json.dumps(report))
        return
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in (
        ("players", f"{players:,}"),
        ("seed", f"{seed}"),
        ("games completed", f"{score.games_completed:,}"),
        ("games timed out", f"{score.games_timed_out:,}"),
        ("games players could not finish", f"{score.failed:,}"),
        ("attacks", f"{score.attacks:,}"),
        ("seconds", f"{score.seconds:,.1f}"),
        ("games per minute", f"{score.games_per_minute:,.0f}"),
    ):
        table.add_row(name, value)
    stdout_console().print(table)
