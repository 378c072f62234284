"""`superhero compact`: few large files in place of many small ones."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import asdict

import click

from superhero.commands.progress import progress
from superhero.commands.query import asked, sink_option
from superhero.errors import SettingsError
from superhero.ops.compaction import GRACE_S, SEGMENT_BYTES, Compacted, compact
from superhero.ops.delta_compaction import compact_table
from superhero.ops.sources import Source
from superhero.plural import counted

_MIB = 1 << 20
_MERGED = {"json": ("object", "segment"), "delta": ("file", "file")}
"""What is merged, by the kind of sink, and what it becomes."""


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
    """Merge small files into few large ones, safe beside workers and readers: JSON Lines and Delta Lake.

    Killed at any time, it loses and doubles nothing; `verify` holds what it makes against a key as before.

    JSON Lines: games' files become segments, which count from then on; the small files go with the next run,
    --grace later or more. Superhero's commands read segments; for others see docs/data.md. Delta Lake:
    OPTIMIZE, a commit like any other; the files that it merged are removed after a week. Parquet and SQL
    sinks need none of this.
    """
    source = asked(sink)
    if source.kind not in _MERGED:
        raise SettingsError(f"a {source.kind}: sink needs none of this: its files grow by themselves")
    for _ in _rounds(every_s):
        done = list(_run(source, grace_s, segment_mib * _MIB))
        if as_json:
            click.echo(json.dumps([asdict(each) for each in done]))
        else:
            for each in done:
                click.echo(_told(each, *_MERGED[source.kind]))
            click.echo(f"{'under' if done else 'nothing to merge under'} {source.root}")


def _run(source: Source, grace_s: float, segment_bytes: int) -> Iterator[Compacted]:
    for dataset in source.datasets():
        if source.kind == "delta":
            done = compact_table(source.root, dataset)
        else:
            with progress(f"merging {dataset}", unit="objects") as shown:
                done = compact(
                    source.folder,
                    dataset,
                    grace_s=grace_s,
                    segment_bytes=segment_bytes,
                    on_object=shown.add,
                )
        if done is None:
            click.echo(f"{dataset}: another run is at it, or a writer came first", err=True)
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


def _told(done: Compacted, small: str, large: str) -> str:
    return (
        f"{done.dataset}: {counted(done.objects, small)} merged, {counted(done.segments, large)} in all, "
        f"{counted(done.removed, 'small file')} removed"
    )
