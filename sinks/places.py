"""Places of whole objects that are read, changed and put back, with no other writer's change lost.

What the Parquet sink stands on: a folder (here) or a bucket (sinks/bucket.py). A folder keeps others out by
locks; a bucket cannot, so there a replacement goes through only if the object is still the one that was read.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from zlib import crc32

from sinks.durable import make_folder, opened, remove_left_overs, replace_all, sync_folder, translated

LOCKS = 64
"""How many locks the paths of a folder share."""

Tag = object
"""Tells one state of an object from another; compared for equality only."""


@dataclass(frozen=True, slots=True)
class Found:
    """An object as it stands; `content` is None if it is still the one with the tag that was known."""

    tag: Tag
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Replacement:
    """What is to stand at `path` if the object there still has `tag`; None: if there is none yet."""

    path: str
    content: bytes
    tag: Tag | None


class Places(Protocol):
    """Objects by path. Errors come as TransientSinkError and TerminalSinkError."""

    def exclusive(self, paths: Iterable[str]) -> AbstractContextManager[None]:
        """Keep other writers of these paths out, as far as that can be done."""

    def read(self, wanted: Sequence[tuple[str, Tag | None]]) -> Sequence[Found | None]:
        """Return what stands at each (path, known tag); None where there is nothing."""

    def replace(self, replacements: Sequence[Replacement]) -> Mapping[str, Tag]:
        """Replace objects, each atomically and safely; return the new tags, none where others came first."""

    def secure(self, paths: Iterable[str]) -> None:
        """Make sure that what was read at these paths survives a power cut; its writer may have died."""


class Folder:
    """Places under a folder. All writers must see the same `flock`: one machine, or an NFS 4 mount."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: set[Path] = set()

    @contextmanager
    def exclusive(self, paths: Iterable[str]) -> Iterator[None]:
        """Hold the locks of these paths; in their order, so that no two writers wait for each other."""
        with ExitStack() as stack:
            with translated(self._root):
                folder = self._root / "_locks"
                make_folder(folder)
                for number in sorted({crc32(path.encode()) % LOCKS for path in paths}):
                    fd = stack.enter_context(opened(folder / f"{number}.lock", os.O_RDWR | os.O_CREAT))
                    fcntl.flock(fd, fcntl.LOCK_EX)
            yield

    def read(self, wanted: Sequence[tuple[str, Tag | None]]) -> Sequence[Found | None]:
        """Read files, but not those that are still the known ones."""
        with translated(self._root):
            return [self._read(self._root / path, tag) for path, tag in wanted]

    def replace(self, replacements: Sequence[Replacement]) -> Mapping[str, Tag]:
        """Replace files. The caller holds their locks, so nobody came first."""
        with translated(self._root):
            places = [(self._root / each.path, each.content) for each in replacements]
            for folder in {place.parent for place, _ in places}:
                self._make(folder)
            replace_all(places)
            return {each.path: _tag((self._root / each.path).stat()) for each in replacements}

    def secure(self, paths: Iterable[str]) -> None:
        """Sync the folders: a file was synced before it got its name."""
        with translated(self._root):
            for folder in {(self._root / path).parent for path in paths}:
                self._make(folder)
                sync_folder(folder)

    def _make(self, folder: Path) -> None:
        """Make a folder; tidy it, and make its name safe, when this process first sees it."""
        make_folder(folder)
        if folder not in self._seen:
            # Who made the folders may have died before their names were safe.
            for above in (folder.parent, folder.parent.parent, folder.parent.parent.parent):
                sync_folder(above)
            remove_left_overs(folder)
            self._seen.add(folder)

    @staticmethod
    def _read(path: Path, known: Tag | None) -> Found | None:
        try:
            with opened(path, os.O_RDONLY) as fd:
                tag = _tag(os.fstat(fd))
                if tag == known:
                    return Found(tag, None)
                with open(fd, "rb", closefd=False) as file:
                    return Found(tag, file.read())
        except FileNotFoundError:
            return None


def _tag(status: os.stat_result) -> Tag:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
