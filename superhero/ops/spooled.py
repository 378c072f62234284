"""Read from a spool directory which records its producers still keep; nothing in it is locked or changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson

from superhero.errors import ServiceError
from superhero.ops.datasets import RECORD_ID
from superhero.transport.segment import Segment


def spooled_ids(spool_dir: Path) -> Iterator[str]:
    """Yield the ids of the records that the broker has not confirmed, of living processes and of dead ones.

    None where there is no such directory. Raise ServiceError where it may not be read.
    """
    try:
        for folder in _in(spool_dir):
            for path in _in(folder) if folder.is_dir() else ():
                if path.suffix == ".log":
                    yield from _ids_in(path)
    except OSError as error:
        raise ServiceError(
            f"the spool directory {spool_dir} cannot be read: {error.strerror}; verify as its owner"
        ) from error


def _in(folder: Path) -> list[Path]:
    """Return what is in a folder; glob would find nothing in one that may not be read."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def _ids_in(path: Path) -> Iterator[str]:
    try:
        segment = Segment(path, 0, new=False)
    except FileNotFoundError:
        return  # all of it was confirmed meanwhile
    try:
        while not segment.exhausted:
            _, records, _ = segment.read()
            for encoded in records:
                record_id = str(orjson.loads(encoded)["id"])
                if RECORD_ID.fullmatch(record_id):  # one of the caller's own making has no producer
                    yield record_id
    except FileNotFoundError:
        return
    finally:
        segment.close()
