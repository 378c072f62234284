"""Scenes that would disturb a test, played in a process of their own: `sink_scenarios.py SCENE SINK FOLDER`.

Each prints a line per refused batch and ends with what stands in the sink.
"""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sink_kinds import KINDS, Kind, ids, podium, stream

from sinks import open_sink
from sinks.base import Sink, Write
from sinks.errors import TransientSinkError

_TEXT = "x" * 90


def refuses(sink: Sink, batch: Sequence[Write]) -> bool:
    """Write a batch; print and tell whether it was refused for now."""
    try:
        sink.write(batch)
    except TransientSinkError as error:
        print(f"transient: {error}")
        return True
    return False


def file_limit(kind: Kind, folder: Path) -> None:
    """No file may grow beyond 2000 bytes, so that a write stops in its middle; then it may."""
    with open_sink(kind.url(folder)) as sink:
        sink.write([stream("p", range(10), text=_TEXT)])
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        refuses(sink, [stream("p", range(100), text=_TEXT)])
        refuses(
            sink, [podium("g"), *(podium(f"g{n}") for n in range(9)), stream("p", range(100), text=_TEXT)]
        )
        report(kind, folder)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        sink.write([stream("p", range(100), text=_TEXT)])


def full_disk(kind: Kind, folder: Path) -> None:
    """The disk, of 512 kB, is filled until nothing more goes in; then there is room."""
    filler = folder / "filler"
    with open_sink(kind.url(folder)) as sink:
        sink.write([stream("p", range(10))])
        filler.write_bytes(b"x" * (shutil.disk_usage(folder).free - kind.room_bytes))
        refuses(sink, [stream("p", range(9, 2000), text=_TEXT)])
        refuses(sink, [podium(f"g{n}") for n in range(99)])
        report(kind, folder)
        filler.unlink()
        sink.write([stream("p", range(9, 2000), text=_TEXT)])


def read_only(kind: Kind, folder: Path) -> None:
    """The file system is read-only, before the first write and again later; then it can be written."""
    batches: list[list[Write]] = [[stream("p", [0]), podium("g")], [stream("p", [0, 1]), podium("h")]]
    for batch in batches:
        # The sink is opened after that: a database that is open keeps its disk from it.
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        with open_sink(kind.url(folder)) as sink:
            refuses(sink, batch)
            subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
            sink.write(batch)


def report(kind: Kind, folder: Path) -> None:
    """Print how many rows stand there, how many of them differ, and whether every object is whole."""
    rows = kind.read(folder, "RECORDS")
    whole = len(kind.read(folder, "GAME_PODIUM")) % 2 == 0
    print(len(rows), len(set(ids(rows))), "whole" if whole else "half an object")


SCENES: dict[str, Callable[[Kind, Path], None]] = {
    scene.__name__: scene for scene in (file_limit, full_disk, read_only)
}

if __name__ == "__main__":
    _, chosen_scene, chosen_kind, chosen_folder = sys.argv
    kind_of_sink = next(kind for kind in KINDS if kind.name == chosen_kind)
    SCENES[chosen_scene](kind_of_sink, Path(chosen_folder))
    report(kind_of_sink, Path(chosen_folder))
