"""`superhero compact`: few large files in place of many small ones."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import asdict

import click

from superhero.commands.query import asked, sink_option
from superhero.errors import SettingsError
from superhero.ops.compaction import GRACE_S, SEGMENT_BYTES, Compacted, compact
from superhero.ops.sources import Source

_MIB = 1 << 20


@click.command(
    epilog="\b\nExamples:\n  superhero compact                      once\n"
    "  superhero compact --every 300          for as long as it runs, beside the workers\n"
    "  superhero compact --grace 0            at once, where nobody reads"
)
@sink_option
@click.option(
    "--grace",
    "grace_s",
    default=GRACE_S,
    show_default=True,
    type=click.FloatRange(0),
    help="Seconds for which files that were merged stay for those who read them.",
)
@click.option(
    "--segment-mib",
    default=SEGMENT_BYTES // _MIB,
    show_default=True,
    type=click.IntRange(1, 4096),
    help="How large a file grows.",
)
@click.option("--every", "every_s", type=click.FloatRange(1), help="Do it again every so many seconds.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, a line a run.")
def command(sink: str | None, grace_s: float, segment_mib: int, every_s: float | None, as_json: bool) -> None:
    """Merge the files of a JSON Lines sink's games into few large ones, safe beside workers and readers.

    What was merged counts from then on; the small files go with the next run, --grace later or more. Killed
    at any time, it loses and doubles nothing. `verify`, `query` and the rest of superhero's commands read
    what it makes; others see docs/data.md. Parquet and SQL sinks need none of this; Delta Lake has its own,
    OPTIMIZE.
    """
    source = asked(sink)
    if source.kind != "json":
        raise SettingsError(
            f"a {source.kind}: sink is not for this: Parquet's files grow by themselves, and Delta Lake "
            "merges its own by OPTIMIZE (deltalake: DeltaTable(...).optimize.compact())"
        )
    for _ in _rounds(every_s):
        done = list(_run(source, grace_s, segment_mib * _MIB))
        if as_json:
            click.echo(json.dumps([asdict(each) for each in done]))
        else:
            for each in done:
                click.echo(_told(each))


def _run(source: Source, grace_s: float, segment_bytes: int) -> Iterator[Compacted]:
    for dataset in source.datasets():
        done = compact(source.folder, dataset, grace_s=grace_s, segment_bytes=segment_bytes)
        if done is None:
            click.echo(f"{dataset}: another run is at it", err=True)
        elif done.segments:
            yield done


def _rounds(every_s: float | None) -> Iterator[None]:
    """Yield once, or again and again until SIGTERM comes; a round that is under way is finished."""
    over = threading.Event()
    if every_s is None:
        yield
        return
    previous = signal.signal(signal.SIGTERM, lambda *_: over.set())
    try:
        while not over.is_set():
            yield
            over.wait(every_s)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _told(done: Compacted) -> str:
    return (
        f"{done.dataset}: {done.objects:,} objects merged, {done.segments:,} segments, "
        f"{done.removed:,} small files removed"
    )
