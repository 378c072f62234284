"""Files that survive a crash: written beside their place, synced and renamed, or locked and appended to.

What the sinks that write files share. After `replace_all` returns, every file of it is wholly there, also
after a power cut; before that, each is wholly there or not at all. Errors are the system's own; `translated`
makes a sink's of them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from sinks.errors import TerminalSinkError, TransientSinkError

GROUP = 64
"""How many files are open at a time while they are made safe together."""

# No safe name begins with a dot, so what a crash leaves behind is never taken for an object.
_LEFT_OVER = re.compile(r"\..+\.[0-9a-f]{16}\.tmp")
_NEVER = frozenset({errno.ELOOP, errno.ENAMETOOLONG})


@contextmanager
def translated(root: Path) -> Iterator[None]:
    """Raise what the system refused within as a sink's error: terminal where a repetition cannot help."""
    try:
        yield
    except OSError as error:
        kind = TerminalSinkError if error.errno in _NEVER else TransientSinkError
        raise kind(f"cannot write under {root}: {error}") from error


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file, never through a symbolic link, nor inherited by a child that executes a program."""
    fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        yield fd
    finally:
        os.close(fd)


def write_all(fd: int, content: bytes) -> None:
    """Write all of `content`, however many calls that takes."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def replace_all(files: Sequence[tuple[Path, bytes]]) -> None:
    """Put every (place, content) where it belongs; of several for one place the last one stays."""
    for first in range(0, len(files), GROUP):
        _replace_group(files[first : first + GROUP])
    for folder in {place.parent for place, _ in files}:
        sync_folder(folder)


def _replace_group(files: Sequence[tuple[Path, bytes]]) -> None:
    with ExitStack() as stack:
        written = [_write_beside(stack, place, content) for place, content in files]
        for fd, _, _ in written:
            _start_writing_out(fd)
        for fd, _, _ in written:
            os.fsync(fd)
        for _, beside, place in written:
            beside.rename(place)


def _write_beside(stack: ExitStack, place: Path, content: bytes) -> tuple[int, Path, Path]:
    """Write a temporary file that is gone when `stack` closes, unless it was renamed."""
    while True:
        beside = place.with_name(f".{place.stem}.{secrets.token_hex(8)}.tmp")
        fd = stack.enter_context(opened(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        # The lock tells a writer at work from one that died: see remove_left_overs.
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:  # else it was taken for a left-over before we had it locked
            break
    stack.callback(_unlink_if_there, beside)
    write_all(fd, content)
    return fd, beside, place


def _unlink_if_there(path: Path) -> None:
    with suppress(OSError):  # renamed long since; else the first error says more, and a left-over is harmless
        path.unlink()


def _start_writing_out(fd: int) -> None:
    """Let the disk begin, so that the fsyncs that follow share the file system's commits: twice as fast."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def make_folder(folder: Path) -> None:
    """Make a folder, with those above it, unless it is there; its name survives a power cut."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make names that were created in `folder`, or moved there, survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def remove_left_overs(folder: Path) -> None:
    """Remove the temporary files of writers that died; a living writer holds its file's lock."""
    for path in folder.iterdir():
        if not _LEFT_OVER.fullmatch(path.name):
            continue
        with suppress(BlockingIOError, FileNotFoundError), opened(path, os.O_RDONLY) as fd:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
