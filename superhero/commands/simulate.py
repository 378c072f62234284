"""`superhero simulate`: games without sockets, for volume."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from superhero.commands.dials import Dials, dials
from superhero.commands.participants import participants_option
from superhero.commands.pulses import pulse
from superhero.config import from_env
from superhero.events import GameCompleted
from superhero.generator.faults import Delivery, deliver
from superhero.headless import PLAYERS, START, play
from superhero.ops.answer_key import AnswerKeyWriter
from superhero.ops.outlets import AT_A_TIME, Put, lines, pipeline
from superhero.ops.pace import Pace
from superhero.plural import counted
from superhero.roster import read_file, shipped
from superhero.transport import CeleryHandler

_PIPELINE, _STDOUT = "pipeline", "-"
_SHOW_EVERY = 50  # games

Send = Callable[[Delivery], None]


@click.command(
    epilog="\b\nExamples:\n  superhero simulate --games 1000 --seed 7\n"
    "  superhero simulate --games 3 --seed 7 --to - | head -3\n"
    "  superhero simulate --games 100000 --to records.jsonl --json\n"
    "  superhero simulate --speed 60x --shape daily --session-games 20\n"
    "  superhero simulate --duplicated 0.05 --malformed 0.01 --answer-key expected.json\n"
    "  superhero verify --expect expected.json --quarantine"
)
@click.option("--games", default=1000, show_default=True, type=click.IntRange(0), help="Games to play.")
@click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(0), help="Everything follows from it."
)
@participants_option
@click.option("--players", default=PLAYERS, show_default=True, type=click.IntRange(2), help="Users who play.")
@click.option(
    "--heroes",
    type=click.Path(path_type=Path),
    help="File of heroes in Super Hero API's shape. Default: those shipped with the package.",
)
@click.option(
    "--start",
    default=START.isoformat(),
    show_default=True,
    help="When the run begins, ISO 8601; UTC where it names no zone.",
)
@dials
@click.option(
    "--answer-key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what a sink must hold afterwards, for `superhero verify --expect`.",
)
@click.option(
    "--to",
    default=_PIPELINE,
    show_default=True,
    metavar="pipeline|-|FILE",
    help="Log through the transport to BROKER_URL, or write envelopes as JSON lines.",
)
@click.option(
    "--patience",
    "patience_s",
    default=60.0,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Seconds without a confirm from the broker after which the run gives up.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def command(
    games: int,
    seed: int,
    participants: tuple[int, int],
    players: int,
    heroes: Path | None,
    start: str,
    answer_key: Path | None,
    to: str,
    patience_s: float,
    as_json: bool,
    **dialled: Any,
) -> None:
    """Play games without sockets, as fast as it goes.

    The rules and the records are the server's. The same options give the same records, down to ids and times:
    simulated twice into the same sink, a run adds nothing the second time, and with more --games it adds only
    the further games. Other options but --games, --speed and --to make another run, with ids of its own.
    """
    begin = _moment(start)
    roster = shipped() if heroes is None else read_file(heroes)
    set_to = Dials.of(dialled)
    try:
        records = play(
            seed,
            games,
            roster,
            participants=participants,
            players=players,
            start=begin,
            rate=set_to.rate,
            habits=set_to.habits,
            variant=repr(set_to.shares) if set_to.shares.some else "",
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    key = AnswerKeyWriter(
        {
            "seed": seed,
            "participants": participants,
            "players": players,
            "heroes": len(roster),
            "start": begin.isoformat(),
            "rate": asdict(set_to.rate),
            "habits": asdict(set_to.habits),
            "shares": asdict(set_to.shares),
        }
    )
    begun = time.monotonic()
    with _outlet(to, patience_s, paced=set_to.speed is not None) as put:
        count = _pour(deliver(records, set_to.shares, seed), _sending(put, set_to, key, answer_key), games)
    if answer_key is not None:
        with _file(answer_key) as file:
            file.write(json.dumps(key.told(), indent=1).encode() + b"\n")
    _summarize(games, count, time.monotonic() - begun, to, as_json)


def _sending(put: Put, set_to: Dials, key: AnswerKeyWriter, answer_key: Path | None) -> Send:
    """Return what sends a record at its time and takes it into the answer key, if one is asked for."""
    pace = None if set_to.speed is None else Pace(set_to.speed)

    def send(delivery: Delivery) -> None:
        if pace is not None:
            pace.wait(delivery.due)
        put(delivery.record)
        if answer_key is not None:
            key.add(delivery)

    return send


@contextmanager
def _outlet(to: str, patience_s: float, *, paced: bool) -> Iterator[Put]:
    if to == _STDOUT:
        with lines(sys.stdout.buffer) as put:
            yield put
    elif to == _PIPELINE:
        settings = from_env()
        handler = CeleryHandler(broker_url=settings.broker_url, spool_dir=settings.spool_dir)
        # A record with a time of its own is not held back until there are others.
        at_a_time = 1 if paced else AT_A_TIME
        with (
            pulse(settings.redis_url, "simulate", handler),
            closing(handler),
            pipeline(handler, patience_s, at_a_time=at_a_time) as put,
        ):
            yield put
    else:
        with _file(Path(to)) as file, lines(file) as put:
            yield put


@contextmanager
def _file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole or not at all; a device or a pipe is written to as it is."""
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        target = path.resolve()  # a link stays a link
        unfinished = target.with_name(f".{target.name}.tmp")
        try:
            with unfinished.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise click.FileError(str(path), hint=error.strerror or str(error)) from error


def _pour(deliveries: Iterable[Delivery], send: Send, games: int) -> int:
    """Send every record, showing progress on a terminal; return how many were sent."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("games, {task.fields[rate]:,.0f} records/s"),
        TimeRemainingColumn(),
    )
    count, played, begun = 0, 0, time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("simulating", total=games, rate=0.0)
        for delivery in deliveries:
            send(delivery)
            count += 1
            if type(delivery.record.event) is GameCompleted and not delivery.again:
                played += 1
                if played % _SHOW_EVERY == 0 or played == games:
                    bar.update(task, completed=played, rate=count / (time.monotonic() - begun))
    return count


def _summarize(games: int, records: int, seconds: float, to: str, as_json: bool) -> None:
    """Print on stdout what was done, or on stderr where stdout holds the records."""
    rate = records / seconds if seconds else 0.0
    if as_json:
        figures = {
            "games": games,
            "records": records,
            "seconds": round(seconds, 3),
            "records_per_second": round(rate, 1),
            "to": to,
        }
        text = json.dumps(figures)
    else:
        text = (
            f"{counted(games, 'game')}, {counted(records, 'record')} in {seconds:,.2f} s "
            f"({rate:,.0f} a second) to {to}"
        )
    click.echo(text, err=to == _STDOUT)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"--start {text!r} must be a moment like {START.isoformat()}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
