"""What a ledger knows of its file, left with the file for other processes, as an extended attribute.

So that what one worker appended need not be read by each of the others, nor a whole file by one that starts.
The note is part of the file: it goes when the file goes, and a reader of the folder never meets it.

It is believed of exactly the file it was left with: of that producer, size and time of the last change. It
is left when the content is synced, so after a power cut it tells of no line that is not there, as far as the
disk keeps what it says that it synced. In any other case, a writer that died before it left one, a file that
was copied or edited since, a file system that has no attributes, there is none, and the file itself is read.
Not noticed is an edit that leaves size and time as they are: within a tick of the file system's clock, a few
milliseconds, after a worker wrote.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

import orjson

Run = tuple[int, int]
"""The first of some sequences in a row, and the one after the last."""

_NAME = b"user.superhero.ledger"
_VERSION = 1
_MOST_RUNS = 100
"""An attribute may take some 4 KiB; of a file with more gaps none is left."""


def leave(fd: int, producer: str, status: os.stat_result, runs: Sequence[Run]) -> None:
    """Leave a note: in the file of this status stand exactly these sequences of the producer, all synced.

    The caller holds the file's lock. Where it cannot be left there is none: whoever comes reads the file.
    """
    if len(runs) > _MOST_RUNS or not hasattr(os, "setxattr"):
        return
    with suppress(OSError):
        os.setxattr(fd, _NAME, orjson.dumps({**_of(producer, status), "runs": runs}))


def find(fd: int, producer: str, status: os.stat_result) -> list[Run] | None:
    """Return the runs of the producer's sequences that stand in the file, by a note; None without one.

    `status` is the file's, taken under its lock, which the caller holds.
    """
    if not hasattr(os, "getxattr"):
        return None
    with suppress(OSError, ValueError, TypeError, LookupError, AttributeError):
        note = orjson.loads(os.getxattr(fd, _NAME))
        runs = [(int(start), int(end)) for start, end in note.pop("runs")]
        bounds = [bound for run in runs for bound in run]
        if note == _of(producer, status) and bounds == sorted(set(bounds)):
            return runs
    return None


def _of(producer: str, status: os.stat_result) -> dict[str, object]:
    return {
        "v": _VERSION,
        "producer": producer,
        "size_bytes": status.st_size,
        "changed_ns": status.st_mtime_ns,
    }
