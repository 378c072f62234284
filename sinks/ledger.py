"""What stands in an append-only file: its record ids, read from the file itself and kept small."""

from __future__ import annotations

import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable

_BLOCK_BYTES = 1 << 20
_TAIL_BYTES = 256  # long enough to hold a record id or a time


class Intervals:
    """A set of whole numbers that takes memory per gap and not per number: [0, 100) is one entry."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, number: int) -> bool:
        if not self._ends or number >= self._ends[-1]:  # what is new, nearly always
            return False
        at = bisect_right(self._starts, number)
        return at > 0 and number < self._ends[at - 1]

    def __len__(self) -> int:
        """How many intervals there are: what the set takes, not what it holds."""
        return len(self._starts)

    def add(self, number: int) -> None:
        """Put `number` in, joining it with its neighbours."""
        if self._ends and self._ends[-1] == number:
            self._ends[-1] = number + 1
            return
        if number in self:
            return
        at = bisect_left(self._starts, number)
        joins_left = at > 0 and self._ends[at - 1] == number
        joins_right = at < len(self._starts) and self._starts[at] == number + 1
        if joins_left and joins_right:
            self._ends[at - 1] = self._ends.pop(at)
            self._starts.pop(at)
        elif joins_left:
            self._ends[at - 1] = number + 1
        elif joins_right:
            self._starts[at] = number
        else:
            self._starts.insert(at, number)
            self._ends.insert(at, number + 1)


class Ledger:
    """Which sequences of one producer stand in its file, as far as the file has been read.

    The file is the ledger; this is only what was read of it, so that it need not be read twice.
    """

    __slots__ = ("_file", "_line", "_tail", "present", "size_bytes")

    def __init__(self, producer: str) -> None:
        self.present = Intervals()
        self.size_bytes = 0
        self._file: tuple[int, int] | None = None
        self._tail = b""
        self._line = re.compile(rb'^\{"record_id":"%b:(\d{1,19})"' % re.escape(producer.encode()), re.M)

    def catch_up(self, fd: int) -> bool:
        """Read what others, or this process before a restart, appended since the last look.

        Cut off a last line without its end: its writer died, and what it wrote was never acknowledged.
        Return whether the file is another than last time, or was changed by other means than appending, and
        has been read from its beginning. The caller holds its lock. Lines that are not ours are let be.
        """
        is_new = not self._knows(fd)
        if is_new:
            self.present, self.size_bytes, self._tail = Intervals(), 0, b""
        unfinished = b""
        while block := os.pread(fd, _BLOCK_BYTES, self.size_bytes + len(unfinished)):
            lines, newline, unfinished = (unfinished + block).rpartition(b"\n")
            self.appended([int(sequence) for sequence in self._line.findall(lines)], lines + newline)
        if unfinished:
            os.ftruncate(fd, self.size_bytes)
        return is_new

    def appended(self, sequences: Iterable[int], content: bytes) -> None:
        """Take note of whole lines that stand at the end of the file."""
        for sequence in sequences:
            self.present.add(sequence)
        self.size_bytes += len(content)
        self._tail = (self._tail + content[-_TAIL_BYTES:])[-_TAIL_BYTES:]

    def _knows(self, fd: int) -> bool:
        """Tell whether what was read still stands there; a file made anew may even have the old number."""
        status = os.fstat(fd)
        file, self._file = self._file, (status.st_dev, status.st_ino)
        tail = os.pread(fd, len(self._tail), self.size_bytes - len(self._tail))
        return file == self._file and tail == self._tail
