"""One file of a spool: records appended, and beside it a journal of those that the broker confirmed.

    NNNNNNNN.log    frame*     frame = magic (4 bytes) · CRC-32 (4) · length (4) · the encoded record
    NNNNNNNN.done   entry*     entry = CRC-32 (4) · count (4) · where confirmed frames begin (4 each)

Numbers are little-endian; a frame's CRC covers the record, an entry's all that follows it. A frame is written
with one system call, into the kernel's page cache: it is safe from the end of the process at once, from a
power cut after `sync`.

A damaged frame is left out, and reading goes on at the next magic: its bytes never occur in JSON text. A
damaged journal entry ends the journal; what it would have said is sent once more, under the same ids.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import compress
from os import pwrite
from pathlib import Path

try:
    from isal.isal_zlib import crc32  # the same sums as zlib's, in a quarter of the time
except ImportError:  # not to be had for every processor
    from zlib import crc32

_MAGIC = b"\x00SH\x01"
_FRAME = struct.Struct("<4sII")
_pack_head = _FRAME.pack
FRAME_BYTES = _FRAME.size
"""What a record takes in a file beyond itself."""
_ENTRY = struct.Struct("<II")
_BLOCK_BYTES = 256 * 1024
STRIDE = 1 << 32
"""A position is the number of a segment times this, plus the place in it."""
_MODE = 0o600


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan of a segment found: records and bytes that were not confirmed, damaged stretches."""

    records: int
    size_bytes: int
    corrupt: int


class Segment:
    """A segment of this process, appended to until it is sealed, or one that another process left.

    `append` may be called while another thread reads and marks; each of these by one thread at a time.
    """

    def __init__(self, path: Path, number: int, *, new: bool) -> None:
        self.path = path
        self.number = number
        self.count = 0
        """How many records are in it that were not confirmed when it was opened."""
        self.done = 0
        """How many of those are confirmed."""
        self.sealed = not new
        self.synced = 0
        """How many of its bytes are safe from a power cut."""
        self.end = 0 if new else path.stat().st_size
        self.read_at = 0
        """Where the next `read` begins."""
        self.limit = 0
        """How many bytes it may take before somebody looks whether there is room for more."""
        self._done_before: frozenset[int] = frozenset() if new else frozenset(_read_journal(self._journal))
        # Only a sealed segment's descriptor is ever closed and opened anew, so `append` needs no lock.
        self._fd_lock = threading.Lock()
        self._fd = -1 if self.sealed else _open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR)
        self._journal_fd = -1

    @property
    def exhausted(self) -> bool:
        """Whether nothing will ever be read from it any more."""
        return self.sealed and self.read_at >= self.end

    @property
    def finished(self) -> bool:
        """Whether it is sealed and everything in it is confirmed, or damaged."""
        return self.sealed and self.done >= self.count

    def append(self, encoded: bytes) -> bool:
        """Append a record; False, and nothing is kept, beyond the limit. Raise OSError if it cannot be."""
        end, size = self.end, len(encoded)
        if end + size > self.limit:
            return False
        frame = _pack_head(_MAGIC, crc32(encoded), size) + encoded
        size += FRAME_BYTES
        # At the known end, and not by O_APPEND: what a full disk took of a frame is written over.
        if pwrite(self._fd, frame, end) != size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self.end = end + size
        self.count += 1
        return True

    def append_all(self, encoded: Sequence[bytes]) -> bool:
        """Append records by one write, all of them or none; say and raise what `append` does."""
        if self.end + sum(map(len, encoded)) > self.limit:
            return False
        frames = b"".join([_pack_head(_MAGIC, crc32(each), len(each)) + each for each in encoded])
        if pwrite(self._fd, frames, self.end) != len(frames):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
        self.end += len(frames)
        self.count += len(encoded)
        return True

    def read(self) -> tuple[list[int], list[bytes], int]:
        """Return the positions of the next records, the records, and how many damaged stretches were met."""
        end, start = self.end, self.read_at
        left = end - start
        block = self._block(start, left)
        if len(block) < min(_BLOCK_BYTES, left):  # the file is shorter than it was
            left = len(block)
        first = self.number * STRIDE
        positions, encoded, corrupt, used = _parse(block, left, first + start)
        self.read_at = end if left == len(block) else start + used
        if self._done_before:
            to_send = [position - first not in self._done_before for position in positions]
            return list(compress(positions, to_send)), list(compress(encoded, to_send)), corrupt
        return positions, encoded, corrupt

    def scan(self) -> Found:
        """Read a segment that another process left, to see what is in it; `read` starts anew afterwards."""
        records = size = corrupt = 0
        while not self.exhausted:
            _, encoded, damaged = self.read()
            records += len(encoded)
            size += sum(map(len, encoded))
            corrupt += damaged
        self.read_at = 0
        self.count = records
        return Found(records, size, corrupt)

    def mark_done(self, places: Sequence[int]) -> None:
        """Note that the records whose frames begin at `places` are confirmed. Raise OSError if it fails."""
        self.done += len(places)
        body = struct.pack(f"<{len(places) + 1}I", len(places), *places)
        if self._journal_fd < 0:
            self._journal_fd = _open(self._journal, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.write(self._journal_fd, crc32(body).to_bytes(4, "little") + body)

    def sync(self) -> None:
        """Make what was appended so far safe from a power cut. Raise OSError if it fails."""
        end = self.end
        with self._fd_lock:
            if self.synced < end and self._fd >= 0:
                os.fdatasync(self._fd)
                self.synced = end

    def rest(self) -> None:
        """Close a sealed segment's file until it is read, so that a long spool takes few descriptors."""
        with self._fd_lock:
            if self.sealed:
                self._fd = _close(self._fd)

    def remove(self) -> None:
        """Delete the files. Raise OSError if that fails."""
        self.close()
        # The records first: a journal without records says nothing, records without it would be sent again.
        self.path.unlink(missing_ok=True)
        self._journal.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files."""
        with self._fd_lock:
            self._fd = _close(self._fd)
        self._journal_fd = _close(self._journal_fd)

    def _block(self, start: int, left: int) -> bytes:
        """Read a block, or more if its first frame is larger."""
        with self._fd_lock:
            if self._fd < 0:
                self._fd = _open(self.path, os.O_RDONLY)
            block = os.pread(self._fd, min(_BLOCK_BYTES, left), start)
            if len(block) >= _FRAME.size:
                magic, _, length = _FRAME.unpack_from(block)
                if magic == _MAGIC and len(block) < _FRAME.size + length <= left:
                    return os.pread(self._fd, _FRAME.size + length, start)
            return block

    @property
    def _journal(self) -> Path:
        return self.path.with_suffix(".done")


def _open(path: Path, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)


def _close(fd: int) -> int:
    """Close a descriptor, if it is open, and return that of nothing."""
    if fd >= 0:
        with suppress(OSError):  # what was written is in the kernel's hands already
            os.close(fd)
    return -1


def _parse(block: bytes, left: int, position: int) -> tuple[list[int], list[bytes], int, int]:
    """Return where each whole frame stands, its record, how many stretches were damaged, and the bytes used.

    `position` is the block's own, `left` how many bytes the file has from there: a frame that ends beyond the
    block and within those is whole in the next one; one that ends beyond those is damaged.
    """
    positions: list[int] = []
    records: list[bytes] = []
    at = corrupt = 0
    size = len(block)
    unpack, head = _FRAME.unpack_from, _FRAME.size
    while at + head <= size:
        magic, crc, length = unpack(block, at)
        begin = at + head
        end = begin + length
        if magic == _MAGIC and end <= left:
            if end > size:
                return positions, records, corrupt, at
            encoded = block[begin:end]
            if crc32(encoded) == crc:
                positions.append(position + at)
                records.append(encoded)
                at = end
                continue
        corrupt += 1
        following = block.find(_MAGIC, at + 1)
        if following < 0:
            # The last bytes may be the beginning of a magic that goes on in the next block.
            return positions, records, corrupt, max(at + 1, size - len(_MAGIC) + 1)
        at = following
    if size == left and at < size:
        corrupt += 1
    return positions, records, corrupt, at


def _read_journal(path: Path) -> Iterator[int]:
    """Yield where the confirmed frames begin, up to the first damaged entry."""
    try:
        journal = path.read_bytes()
    except FileNotFoundError:
        return
    at = 0
    while at + _ENTRY.size <= len(journal):
        crc, count = _ENTRY.unpack_from(journal, at)
        body = journal[at + 4 : at + _ENTRY.size + 4 * count]
        if len(body) != 4 + 4 * count or crc32(body) != crc:
            return
        yield from struct.unpack_from(f"<{count}I", body, 4)
        at += _ENTRY.size + 4 * count
