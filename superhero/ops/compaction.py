"""Merge the many small files of a JSON Lines dataset of objects into few large ones, while all goes on.

A run, for each dataset, under a lock that keeps other runs out and nobody else:

1. Sweep: remove files that the manifest has made superfluous, and what a killed run left behind.
2. Copy the objects that are in files of their own, and those of segments that are not full yet, into new
   segments, and make these safe.
3. Commit: put the new manifest in the old one's place, by a rename.

Before 3 nothing has changed for anybody, after it everything; killed in between, the next run begins anew. A
segment is named by its content. Writers know nothing of this: an object that is written again, by a
redelivery, is a file of its own again, does not count beside the manifest, and goes with the next sweep.
Readers look as superhero/ops/objects.py says; `grace_s` is how long one may take between its look at the
manifest and its opening of a file: a run that comes sooner after the last commit does nothing.

Two writes of one object must be the same, as sinks/base.py asks: of others the one in the segment counts.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from superhero.errors import StoreError
from superhero.ops.objects import FOLDER, MANIFEST, VERSION, Segment, read_keys, read_manifest

SEGMENT_BYTES = 64 << 20
"""How large a segment grows; one that is full is never touched again."""

GRACE_S = 60.0

_LOCK = "lock"
_UNFINISHED = "unfinished"
_STREAM = b'{"record_id":'


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a run did with a dataset: objects (or files) merged, segments (files) then, files removed."""

    dataset: str
    objects: int
    segments: int
    removed: int


def compact(
    folder: Path,
    dataset: str,
    *,
    grace_s: float = GRACE_S,
    segment_bytes: int = SEGMENT_BYTES,
    on_object: Callable[[], None] = lambda: None,
) -> Compacted | None:
    """Merge a dataset's small files; None while another run is at it. A dataset of streams is left alone.

    `on_object` is called for each object that is copied.
    Raise StoreError when the manifest is damaged or the disk refuses; nothing is lost by that.
    """
    root = folder / "superhero" / dataset
    try:
        if not _has_objects(root):
            return Compacted(dataset, 0, 0, 0)
        (root / FOLDER).mkdir(exist_ok=True)
        _sync(root)
        with _alone(root / FOLDER) as alone:
            if not alone:
                return None
            removed = merged = 0
            if _committed_ago_s(root) >= grace_s:
                removed = _sweep(root)
                merged = _merge(root, segment_bytes, on_object)
            if merged and grace_s == 0:
                removed += _sweep(root)
            return Compacted(dataset, merged, len(read_manifest(root)), removed)
    except OSError as error:
        raise StoreError(f"cannot compact {root}: {error}") from error


def _merge(root: Path, segment_bytes: int, on_object: Callable[[], None]) -> int:
    """Copy what is not in a full segment into new ones and commit; return how many objects are new there."""
    segments = read_manifest(root)
    full = [segment for segment in segments if segment.size_bytes >= segment_bytes]
    open_ones = [segment for segment in segments if segment.size_bytes < segment_bytes]
    known = {key for segment in segments for key in read_keys(root / FOLDER, segment.name)}
    new = [path for path in sorted(root.glob("*.jsonl")) if path.stem not in known and _is_whole(path)]
    if not new:
        return 0
    objects = _told(_objects(root, open_ones, new), on_object)
    written = list(_write_segments(root / FOLDER, objects, segment_bytes))
    _commit(root / FOLDER, [*full, *written])
    return len(new)


def _told(objects: Iterable[tuple[str, bytes]], on_object: Callable[[], None]) -> Iterator[tuple[str, bytes]]:
    for each in objects:
        yield each
        on_object()


def _objects(root: Path, segments: Iterable[Segment], files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    for segment in segments:
        with (root / FOLDER / f"{segment.name}.jsonl").open("rb") as rows:
            for key, place in read_keys(root / FOLDER, segment.name).items():
                rows.seek(place.start)
                yield key, rows.read(place.size_bytes)
    for path in files:
        yield path.stem, path.read_bytes()


def _write_segments(
    folder: Path, objects: Iterable[tuple[str, bytes]], segment_bytes: int
) -> Iterator[Segment]:
    """Write segments that are full but for the last, and safe."""
    unwritten = iter(objects)
    while segment := _write_segment(folder, unwritten, segment_bytes):
        yield segment


def _write_segment(folder: Path, objects: Iterator[tuple[str, bytes]], segment_bytes: int) -> Segment | None:
    """Write objects until the segment is full; None if there are none left."""
    digest, size_bytes, count = hashlib.sha256(), 0, 0
    keys: list[str] = []
    rows, index = folder / f"{_UNFINISHED}.jsonl", folder / f"{_UNFINISHED}.keys"
    with rows.open("wb") as file:
        while size_bytes < segment_bytes and (found := next(objects, None)):
            key, lines = found
            keys.append(f"{key} {size_bytes} {len(lines)}\n")
            file.write(lines)
            digest.update(lines)
            size_bytes += len(lines)
            count += lines.count(b"\n")
        _safe(file)
    if not keys:
        rows.unlink()
        return None
    with index.open("w", encoding="utf-8") as file_of_keys:
        file_of_keys.writelines(keys)
        _safe(file_of_keys)
    name = hashlib.sha256("".join(keys).encode() + digest.digest()).hexdigest()[:16]
    rows.rename(folder / f"{name}.jsonl")
    index.rename(folder / f"{name}.keys")
    return Segment(name, len(keys), count, size_bytes, digest.hexdigest())


def _commit(folder: Path, segments: Iterable[Segment]) -> None:
    """Make these the segments that count."""
    _sync(folder)  # the segments' names come before the manifest's
    told = {"version": VERSION, "segments": [asdict(segment) for segment in segments]}
    beside = folder / f"{_UNFINISHED}.json"
    with beside.open("w", encoding="utf-8") as file:
        json.dump(told, file, indent=1)
        _safe(file)
    beside.rename(folder / MANIFEST)
    _sync(folder)


def _sweep(root: Path) -> int:
    """Remove what is superfluous; return how many objects' own files that was."""
    folder = root / FOLDER
    for path in folder.glob(f"{_UNFINISHED}.*"):
        path.unlink()
    segments = read_manifest(root)
    named = {segment.name for segment in segments}
    for path in folder.iterdir():
        if path.suffix in (".jsonl", ".keys") and path.stem not in named:
            path.unlink()
    moved = {key for segment in segments for key in read_keys(folder, segment.name)}
    superfluous = [path for path in root.glob("*.jsonl") if path.stem in moved]
    for path in superfluous:
        path.unlink()
    return len(superfluous)


def _has_objects(root: Path) -> bool:
    """Tell whether a dataset is one of objects; of a stream's the first file is enough to see."""
    if (root / FOLDER / MANIFEST).exists():
        return True
    first = next(root.glob("*.jsonl"), None)
    return first is not None and not _is_stream(first)


def _committed_ago_s(root: Path) -> float:
    """Return how long ago the manifest was put in place, in seconds; a clock put back makes it shorter."""
    try:
        return time.time() - (root / FOLDER / MANIFEST).stat().st_mtime
    except FileNotFoundError:
        return float("inf")


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Hold the lock of compaction; yield False while another process does."""
    with (folder / _LOCK).open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _is_stream(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_STREAM)) == _STREAM


def _is_whole(path: Path) -> bool:
    """Tell whether a file's last line has its end; one cut by hand is left for `verify` to find."""
    with path.open("rb") as file:
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(size_bytes - 1, 0))
        return file.read() in (b"\n", b"")


def _safe(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
