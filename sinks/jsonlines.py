"""JSON Lines: one file per object put, one file per producer appended to.

    <root>/superhero/<DATASET>/<key>.jsonl         Put
    <root>/superhero/<DATASET>/<producer>.jsonl    Append

An object is written beside its place, fsynced and renamed, so it is there wholly or not at all. A stream's
file is its own ledger: what stands in it is looked up under the file's lock, and only what is missing is
appended. So nothing else needs to survive a crash, and no two processes need to know of each other; that a
note of what stands in the file saves them the reading (ledger_note.py) makes no difference but in time. All
of them must see the same `flock`: processes of one machine do, and so do NFS 4 mounts.

Every row is one line of compact UTF-8 JSON, ended by a newline, `record_id` first. In an appended file a line
without its newline is the remains of a crash; the next writer cuts it off, and a reader should pass it over.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path

import orjson

from sinks.base import Append, Put, Row, Sink, Write, safe_name
from sinks.durable import (
    make_folder,
    opened,
    remove_left_overs,
    replace_all,
    sync_folder,
    translated,
    write_all,
)
from sinks.errors import TerminalSinkError
from sinks.ledger import Ledger

MAX_LEDGERS = 4096
"""How many producers' ledgers a process keeps; a forgotten one is read from its file again."""

_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
# Dates, dataclasses and the like are no JSON: left to the encoder above, which refuses them.
_OPTIONS = (
    orjson.OPT_APPEND_NEWLINE
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


class JsonLinesSink(Sink):
    """Writes under `<root>/superhero`. Any number of processes may share a root; one thread per object."""

    takes_iterators = True

    def __init__(self, root: Path, *, max_ledgers: int = MAX_LEDGERS) -> None:
        self._root = root / "superhero"
        self._max_ledgers = max_ledgers
        self._ledgers: OrderedDict[tuple[str, str], Ledger] = OrderedDict()
        self._seen: set[str] = set()
        self.rows_added: Counter[str] = Counter()
        """Dataset -> rows that this object appended to its streams; what stood there is not counted."""

    def write(self, writes: Iterable[Write]) -> None:
        """Make every write of the batch safe; rows of one stream are merged into one append.

        Raise TransientSinkError when the system refused, TerminalSinkError when a row is not JSON (then
        nothing was written) or a stream's place is taken by a symbolic link. In any case a file holds only
        whole lines, and the batch can be repeated as it is.
        """
        objects: list[tuple[str, str, bytes]] = []
        streams: dict[tuple[str, str], dict[int, bytes]] = {}
        for each in writes:  # encoded as they come, and let go of
            if isinstance(each, Put):
                objects.append((each.dataset, each.key, _lines(each.rows)))
            else:
                _add(streams, each)
        with translated(self._root):
            replace_all([(self._place(dataset, key), content) for dataset, key, content in objects])
            for (dataset, producer), rows in streams.items():
                self._append(dataset, producer, rows)

    def close(self) -> None:
        """Forget what was read; no file is kept open between writes."""
        self._ledgers.clear()

    def _append(self, dataset: str, producer: str, rows: dict[int, bytes]) -> None:
        place = self._place(dataset, producer)
        with opened(place, os.O_RDWR | os.O_CREAT | os.O_APPEND) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
            ledger = self._ledgers.pop((dataset, producer), None) or Ledger(producer)
            if ledger.catch_up(fd):
                # Also when it was there: who created it may have died before its name was safe.
                sync_folder(place.parent)
            self._keep(dataset, producer, ledger)
            missing = ledger.present.missing_of(rows)
            content = b"".join([rows[sequence] for sequence in missing])
            try:
                write_all(fd, content)
                # Also with nothing to add: who wrote these rows may have died before it made them safe.
                os.fdatasync(fd)
            except OSError:
                ledger.cut_back(fd)
                raise
            ledger.appended(missing, content)
            ledger.leave_note(fd)
            self.rows_added[dataset] += len(missing)

    def _keep(self, dataset: str, producer: str, ledger: Ledger) -> None:
        """Keep a ledger for the next write; where its file could not be read, that begins anew."""
        self._ledgers[dataset, producer] = ledger
        while len(self._ledgers) > self._max_ledgers:
            self._ledgers.popitem(last=False)

    def _place(self, dataset: str, name: str) -> Path:
        """Return a file's path. Its folder is made if need be, and tidied when this process first sees it."""
        folder = self._root / safe_name(dataset)
        make_folder(folder)
        if dataset not in self._seen:
            # Who made the folder may have died before its name was safe.
            sync_folder(self._root)
            sync_folder(self._root.parent)
            remove_left_overs(folder)
            self._seen.add(dataset)
        return folder / f"{safe_name(name)}.jsonl"


def _add(streams: dict[tuple[str, str], dict[int, bytes]], append: Append) -> None:
    """Put each row's line into its stream, by sequence; of rows with the same record id the first counts."""
    last, lines = "", dict[int, bytes]()  # which stream the row before went to: mostly the same
    for row, (producer, sequence) in zip(append.rows, append.ids, strict=True):
        if producer != last:
            last, lines = producer, streams.setdefault((append.dataset, producer), {})
        if sequence not in lines:
            as_is = type(row) is dict and next(iter(row)) == "record_id"
            lines[sequence] = _line(row if as_is else {"record_id": row["record_id"], **row})


def _lines(rows: Sequence[Row]) -> bytes:
    return b"".join(map(_line, rows))


def _line(row: Row) -> bytes:
    try:
        line = orjson.dumps(row, option=_OPTIONS)
    except TypeError:  # large whole numbers, numbers as keys, lone surrogates; or what really is no JSON
        return _line_by_json(row)
    # orjson, ten times as fast as json, writes null for what is no number, which is to be refused.
    nulls = line.count(b"null")
    return line if not nulls or nulls == list(row.values()).count(None) else _line_by_json(row)


def _line_by_json(row: Row) -> bytes:
    try:
        text = _encode_json(row)
    except (TypeError, ValueError, RecursionError) as error:
        raise TerminalSinkError(f"a row is not JSON: {error}") from error
    # A lone surrogate is legal in JSON's escapes and not in UTF-8; it is replaced rather than lost.
    return text.encode("utf-8", "replace") + b"\n"
