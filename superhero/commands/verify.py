"""`superhero verify`: what a sink says about what was lost and doubled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from superhero.commands.progress import BYTES, progress
from superhero.commands.verdicts import Finding, in_json, show
from superhero.config import Settings, explicit_services, from_env
from superhero.errors import ServiceError
from superhero.events import CHANNELS
from superhero.ops.answer_key import AnswerKey, read_answer_key
from superhero.ops.datasets import files, folder_of
from superhero.ops.depths import Waiting, waiting
from superhero.ops.expected import Expected, read_expected
from superhero.ops.held import KeyVerdict, hold
from superhero.ops.mirror import mirrored
from superhero.ops.printing import stdout_console
from superhero.ops.quarantine import Selection, look
from superhero.ops.readers import is_json_lines, local_folder, open_reader
from superhero.ops.spooled import spooled_ids
from superhero.ops.verify import RECORDS, size_bytes, verify
from superhero.sink_urls import BETWEEN_URLS
from superhero.transport.envelope import channel_name


@click.command(
    epilog="\b\nExamples:\n  superhero verify                     the workers' sink: SINKS, else OUTPUT_DIR\n"
    "  superhero verify json:///data --json\n"
    "  superhero verify --expect run.json --quarantine\n\n"
    '\b\nA file for --expect: {"producers": {"host-1-shop.orders": {"emitted": 10, "confirmed": 10}},\n'
    '                      "quarantined": ["host-1-shop.orders:7"]}'
)
@click.argument("sink", required=False)
@click.option(
    "--expect",
    "expect",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What a sink must hold: the answer key of `superhero simulate`, or JSON of what the producers say; "
    "without it only gaps show, not what is missing at the end.",
)
@click.option("--quarantine", is_flag=True, help="Look into the quarantine at BROKER_URL, too.")
@click.option("--offline", is_flag=True, help="Do not ask BROKER_URL whether messages still wait.")
@click.option("--producers", "by_producer", is_flag=True, help="A row per producer instead of per channel.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables, with every producer.")
def command(
    sink: str | None, expect: Path | None, quarantine: bool, offline: bool, by_producer: bool, as_json: bool
) -> None:
    """Tell by record ids what was lost or doubled between the logging calls and SINK, a sink's URL.

    Exit status 0 only when nothing was lost or doubled, no message waits and all is accounted for, 1
    otherwise, 2 when that cannot be told, as where BROKER_URL is set and does not answer. What is in
    quarantine is accounted for, and said. Stop the workers first, or let them finish: what they hold does
    not wait.

    Where a broker answers at BROKER_URL, messages that wait there count as not in yet, and what is missing
    may be in them. With SPOOL_DIR, what stands in the spools there is told from what is lost. Without
    --expect, what a producer logged last and nothing shows cannot be missed.

    With an answer key every dataset is held against it, row by row; the sink must hold that run alone. Other
    sinks than JSON Lines (parquet:, delta:, postgresql:, mariadb:, sqlite:) are copied into JSON Lines first.
    """
    if offline and quarantine:
        raise click.UsageError("--quarantine asks the broker, --offline does not: choose one")
    settings = from_env()
    found = _find(
        settings, sink or settings.sinks or f"json:{settings.output_dir}", expect, quarantine, offline
    )
    found = replace(found, broker_named=explicit_services(among=("BROKER_URL",)))
    if as_json:
        click.echo(json.dumps(in_json(found), indent=1))
    else:
        show(found, stdout_console(), by_producer=by_producer)
    raise SystemExit(2 if found.broker_silent else 0 if found.clean else 1)


def _find(settings: Settings, url: str, expect: Path | None, quarantine: bool, offline: bool) -> Finding:
    key = read_answer_key(expect) if expect else None
    ours = {*CHANNELS, *settings.channels, *(channel for channel, _ in (key.records if key else ()))}
    # In the order in which records go, the sink last: one that moves on meanwhile is seen at least once.
    spooled = list(spooled_ids(settings.spool_dir)) if settings.spool_dir else []
    before = None if offline else _waiting(settings, ours)
    folder = _folder(url, alone=key is None)
    if folder is not None and not folder.is_dir():
        raise ServiceError(_no_records(f"under {folder.resolve()}, for there is no such folder", before))
    at_first = size_bytes(folder) if folder is not None else 0
    found = Finding(held=_held(url, key, spooled) if key else None, waiting=before)
    if found.held is not None and not any(each.found for each in found.held.datasets):
        found = replace(found, nothing=_no_records(_named(url, folder), before))
    if found.held is not None and not is_json_lines(url):
        return found
    expected = replace(read_expected(expect) if expect else Expected(), spooled=spooled)
    if quarantine:
        letters = list(look(settings.broker_url, Selection()))
        there = [record_id for letter in letters for record_id in letter.record_ids]
        expected = replace(expected, quarantined=[*expected.quarantined, *there])
        found = replace(found, letters=len(letters), anonymous=sum(not each.record_ids for each in letters))
    with _as_json_lines(url, folder) as lines:
        if not files(lines, RECORDS):
            nothing = _no_records(_named(url, folder), before)
            if not expected.producers:
                raise ServiceError(nothing)
            found = replace(found, nothing=nothing)
        with progress("reading", total=size_bytes(lines), unit=BYTES) as shown:
            verdict = verify(lines, expected, on_read=shown.add)
        if lines == folder:
            found = replace(found, grew=size_bytes(lines) != at_first)
    unpromised = sum(line.producer not in expected.producers for line in verdict.producers)
    found = replace(found, verdict=verdict, unpromised=unpromised)
    if before is None or before.error:
        return found
    seen = {name for line in verdict.producers for name in line.channel.split(", ") if name} - ours
    after = _waiting(settings, seen)
    return replace(found, waiting=Waiting({**after.queues, **before.queues}, after.error))


def _held(url: str, key: AnswerKey, spooled: Iterable[str]) -> KeyVerdict:
    """Hold the sink against the key, showing on a terminal how far that has come."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks = {
            name: bar.add_task(name, total=expected) for name, (expected, _) in sorted(key.datasets.items())
        }
        return hold(
            open_reader(url), key, lambda name, rows: bar.update(tasks[name], completed=rows), spooled
        )


@contextmanager
def _as_json_lines(url: str, folder: Path | None) -> Iterator[Path]:
    """Yield a folder of JSON Lines with what the sink holds; `folder` is the sink's own, if it has one."""
    if folder is not None and _has_json_lines(url):
        yield folder
        return
    with ExitStack() as stack:
        with progress("copying", unit="rows") as shown:
            copied = stack.enter_context(mirrored(open_reader(url), shown.add))
        yield copied


def _folder(url: str, *, alone: bool) -> Path | None:
    """Return the folder that is read: of JSON Lines wherever they are `alone`; None if there is none."""
    return folder_of(url) if alone and _has_json_lines(url) else local_folder(url)


def _has_json_lines(url: str) -> bool:
    return any(each.startswith("json:") for each in BETWEEN_URLS.split(url.strip()))


def _named(url: str, folder: Path | None) -> str:
    """Return what to call the sink: there is no password in it."""
    if folder is not None and _has_json_lines(url):
        return f"under {folder.resolve()}"
    return f"in the sink {url.strip().partition(':')[0]}:"


def _waiting(settings: Settings, channels: Iterable[str]) -> Waiting:
    # What is no channel's name, somebody wrote by hand: it has no queue.
    return waiting(settings.broker_url, (each for each in channels if channel_name(each) == each))


def _no_records(place: str, there: Waiting | None) -> str:
    text = f"there are no records {place}; is that where the workers write?"
    waits = [f"{count:,} in {queue}" for queue, count in (there.queues if there else {}).items()]
    return f"{text} Messages still wait: {', '.join(waits)}" if waits else text
