"""JSON Lines: one file per object put, one file per producer appended to.

    <root>/superhero/<DATASET>/<key>.jsonl         Put
    <root>/superhero/<DATASET>/<producer>.jsonl    Append

An object is written beside its place, fsynced and renamed, so it is there wholly or not at all. A stream's
file is its own ledger: what stands in it is looked up under the file's lock, and only what is missing is
appended. So nothing else needs to survive a crash, and no two processes need to know of each other. All of
them must see the same `flock`: processes of one machine do, and so do NFS 4 mounts.

Every row is one line of compact UTF-8 JSON, ended by a newline, `record_id` first. In an appended file a line
without its newline is the remains of a crash; the next writer cuts it off, and a reader should pass it over.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from sinks.base import Append, Put, Row, Write, safe_name, split_record_id
from sinks.errors import TerminalSinkError, TransientSinkError
from sinks.ledger import Ledger

MAX_LEDGERS = 4096
"""How many producers' ledgers a process keeps; a forgotten one is read from its file again."""

# No safe name begins with a dot, so what a crash leaves behind is never taken for an object.
_LEFT_OVER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_NEVER = frozenset({errno.ELOOP, errno.ENAMETOOLONG})
_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class JsonLinesSink:
    """Writes under `<root>/superhero`. Any number of processes may share a root; one thread per object."""

    def __init__(self, root: Path, *, max_ledgers: int = MAX_LEDGERS) -> None:
        self._root = root / "superhero"
        self._max_ledgers = max_ledgers
        self._ledgers: OrderedDict[tuple[str, str], Ledger] = OrderedDict()
        self._tidied: set[str] = set()

    def write(self, writes: Sequence[Write]) -> None:
        """Make every write of the batch safe; rows of one stream are merged into one append.

        Raise TransientSinkError when the system refused, TerminalSinkError when a row is not JSON or a file's
        place is taken by a symbolic link. Either way a file holds only whole lines, and the batch can be
        repeated as it is.
        """
        objects = [(put, _lines(put.rows)) for put in writes if isinstance(put, Put)]
        streams = _by_producer([append for append in writes if isinstance(append, Append)])
        with _translated(self._root):
            for put, content in objects:
                self._put(put, content)
            for dataset in {put.dataset for put, _ in objects}:
                _sync_folder(self._root / dataset)
            for (dataset, producer), rows in streams.items():
                self._append(dataset, producer, rows)

    def close(self) -> None:
        """Forget what was read; no file is kept open between writes."""
        self._ledgers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, put: Put, content: bytes) -> None:
        folder = self._folder(put.dataset)
        key = safe_name(put.key)
        place = folder / f"{key}.jsonl"
        beside = folder / f".{key}.{secrets.token_hex(8)}.tmp"
        with _opened(beside, os.O_WRONLY | os.O_EXCL) as fd:
            try:
                # The lock tells a writer at work from one that died: see _remove_left_overs.
                fcntl.flock(fd, fcntl.LOCK_EX)
                _write_all(fd, content)
                os.fsync(fd)
                beside.rename(place)
            except OSError:
                with suppress(OSError):  # the first error says more, and a left-over is harmless
                    beside.unlink()
                raise

    def _append(self, dataset: str, producer: str, rows: dict[int, bytes]) -> None:
        folder = self._folder(dataset)
        with _opened(folder / f"{producer}.jsonl", os.O_RDWR | os.O_APPEND) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX)
            ledger = self._ledger(dataset, producer)
            if ledger.size_bytes == 0:
                _sync_folder(folder)
            ledger.catch_up(fd)
            missing = [number for number in rows if number not in ledger.present]
            content = b"".join(rows[number] for number in missing)
            try:
                _write_all(fd, content)
                # Also with nothing to add: who wrote these rows may have died before it made them safe.
                os.fdatasync(fd)
            except OSError:
                os.ftruncate(fd, ledger.size_bytes)
                raise
            ledger.size_bytes += len(content)
            for number in missing:
                ledger.present.add(number)

    def _ledger(self, dataset: str, producer: str) -> Ledger:
        ledger = self._ledgers.pop((dataset, producer), None) or Ledger(producer)
        self._ledgers[dataset, producer] = ledger
        while len(self._ledgers) > self._max_ledgers:
            self._ledgers.popitem(last=False)
        return ledger

    def _folder(self, dataset: str) -> Path:
        """Return the dataset's folder, made if it is not there, tidied when this process first sees it."""
        folder = self._root / safe_name(dataset)
        _make_folder(folder)
        if dataset not in self._tidied:
            _remove_left_overs(folder)
            self._tidied.add(dataset)
        return folder


def _by_producer(appends: Sequence[Append]) -> dict[tuple[str, str], dict[int, bytes]]:
    """Return each stream's lines by sequence; of rows with the same record id the first counts."""
    streams: dict[tuple[str, str], dict[int, bytes]] = {}
    for append in appends:
        for row in append.rows:
            producer, sequence = split_record_id(row["record_id"])
            lines = streams.setdefault((append.dataset, safe_name(producer)), {})
            if sequence not in lines:
                lines[sequence] = _lines([{"record_id": row["record_id"], **row}])
    return streams


def _lines(rows: Sequence[Row]) -> bytes:
    try:
        text = "".join(f"{_encode_json(row)}\n" for row in rows)
    except (TypeError, ValueError, RecursionError) as error:
        raise TerminalSinkError(f"a row is not JSON: {error}") from error
    # A lone surrogate is legal in JSON's escapes and not in UTF-8; it is replaced rather than lost.
    return text.encode("utf-8", "replace")


@contextmanager
def _translated(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = TerminalSinkError if error.errno in _NEVER else TransientSinkError
        raise kind(f"cannot write under {root}: {error}") from error


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file that is created if need be, never through a symbolic link, nor inherited by a child."""
    fd = os.open(path, flags | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        yield fd
    finally:
        os.close(fd)


def _write_all(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make names that were created in `folder`, or moved there, survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove_left_overs(folder: Path) -> None:
    """Remove the temporary files of writers that died; a living writer holds its file's lock.

    A writer between creating and locking its file may lose it; its rename fails and the write is repeated.
    """
    for path in folder.iterdir():
        if not _LEFT_OVER.fullmatch(path.name):
            continue
        with suppress(BlockingIOError, FileNotFoundError), _opened_to_look(path) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


@contextmanager
def _opened_to_look(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
