"""The folder of one process in a spool directory, and how a dead process's folder passes to a living one.

    <spool_dir>/<name>/lock           held by `flock` for as long as the process lives, however it ends
    <spool_dir>/<name>/NNNNNNNN.log   see segment.py

Whoever gets the lock of another's folder owns what is in it. A folder appears under its name only once its
lock is held, so nobody ever takes one that is about to be used. All processes that share a spool directory
must see the same `flock`: those of one machine do.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Self

from superhero.errors import SpoolError

_LOCK = "lock"
_STALE_S = 3600.0
"""Age at which a folder that never got its name counts as left by a process that died while making it."""


def prepare(spool_dir: Path) -> Path:
    """Make the spool directory, for us alone, and return it. Raise SpoolError if it cannot be used."""
    try:
        spool_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SpoolError(f"the spool directory {spool_dir} cannot be made: {error.strerror}") from error
    if not os.access(spool_dir, os.R_OK | os.W_OK | os.X_OK):
        raise SpoolError(
            f"the spool directory {spool_dir} cannot be read and written by user {os.geteuid()}; give it to "
            "that user, or name another"
        )
    return spool_dir.resolve()


class Folder:
    """A folder whose lock we hold."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd = lock_fd

    @classmethod
    def make(cls, spool_dir: Path) -> Self:
        """Make a folder of our own, locked. Raise OSError if it cannot be made."""
        name = f"{time.time_ns() // 1_000_000_000}-{os.getpid()}-{token_hex(4)}"
        unnamed = spool_dir / f".{name}"
        unnamed.mkdir(mode=0o700, parents=True)
        fd = -1
        try:
            fd = os.open(unnamed / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return cls(unnamed.rename(spool_dir / name), fd)
        except OSError:
            if fd >= 0:
                os.close(fd)
            shutil.rmtree(unnamed, ignore_errors=True)
            raise

    @classmethod
    def adopt(cls, spool_dir: Path) -> Iterator[Self]:
        """Yield every folder that nobody holds, locked, the oldest first."""
        for path in sorted(spool_dir.iterdir()):
            if path.name.startswith("."):
                _remove_stale(path)
                continue
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                folder = cls._take(path)
                if folder is not None:
                    yield folder

    @classmethod
    def _take(cls, path: Path) -> Self | None:
        fd = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        # BlockingIOError: its owner lives. FileNotFoundError: its owner emptied and removed it just now.
        with suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(fd).st_ino == (path / _LOCK).stat().st_ino:
                return cls(path, fd)
        os.close(fd)
        return None

    def segments(self) -> list[Path]:
        """Return the files of records in it, the oldest first."""
        return sorted(self.path.glob("*.log"))

    def sync(self) -> None:
        """Make the names in it, and its own, survive a power cut."""
        for path in (self.path, self.path.parent):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def remove(self) -> None:
        """Delete the folder, of which all records are confirmed, and let go of the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let go of the lock: whoever comes next may take the folder."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def _remove_stale(path: Path) -> None:
    with suppress(FileNotFoundError, PermissionError):
        if time.time() - path.stat().st_mtime > _STALE_S:
            shutil.rmtree(path, ignore_errors=True)
