"""What stands in an append-only file: its record ids, read from the file itself and kept small."""

from __future__ import annotations

import os
import re
from bisect import bisect_left, bisect_right

_BLOCK_BYTES = 1 << 20


class Intervals:
    """A set of whole numbers that takes memory per gap and not per number: [0, 100) is one entry."""

    __slots__ = ("_ends", "_starts")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number)
        return at > 0 and number < self._ends[at - 1]

    def __len__(self) -> int:
        """How many intervals there are: what the set takes, not what it holds."""
        return len(self._starts)

    def add(self, number: int) -> None:
        """Put `number` in, joining it with its neighbours."""
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

    __slots__ = ("_file", "_line", "present", "size_bytes")

    def __init__(self, producer: str) -> None:
        self.present = Intervals()
        self.size_bytes = 0
        self._file: tuple[int, int] | None = None
        self._line = re.compile(rb'^\{"record_id":"%b:(\d{1,19})"' % re.escape(producer.encode()), re.M)

    def catch_up(self, fd: int) -> None:
        """Read what others, or this process before a restart, appended since the last look.

        Cut off a last line without its end: its writer died, and what it wrote was never acknowledged.
        The caller holds the file's lock. Lines that are not ours are let be.
        """
        status = os.fstat(fd)
        if self._file != (status.st_dev, status.st_ino) or status.st_size < self.size_bytes:
            self.present, self.size_bytes = Intervals(), 0
            self._file = (status.st_dev, status.st_ino)
        unfinished = b""
        while block := os.pread(fd, _BLOCK_BYTES, self.size_bytes + len(unfinished)):
            lines, newline, rest = (unfinished + block).rpartition(b"\n")
            unfinished = rest
            self.size_bytes += len(lines) + len(newline)
            for sequence in self._line.findall(lines):
                self.present.add(int(sequence))
        if unfinished:
            os.ftruncate(fd, self.size_bytes)
