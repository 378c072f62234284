"""What stands in an append-only file: its record ids, read from the file itself and kept small."""

from __future__ import annotations

import errno
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from itertools import pairwise

from sinks import ledger_note

_BLOCK_BYTES = 1 << 20
_TAIL_BYTES = 256  # long enough to hold a record id or a time


class Intervals:
    """A set of whole numbers that takes memory per gap and not per number: [0, 100) is one entry."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, runs: Sequence[ledger_note.Run] = ()) -> None:
        self._starts = [start for start, _ in runs]
        self._ends = [end for _, end in runs]

    def __contains__(self, number: int) -> bool:
        if not self._ends or number >= self._ends[-1]:  # what is new, nearly always
            return False
        at = bisect_right(self._starts, number)
        return at > 0 and number < self._ends[at - 1]

    def __len__(self) -> int:
        """How many intervals there are: what the set takes, not what it holds."""
        return len(self._starts)

    def runs(self) -> list[ledger_note.Run]:
        """Return the intervals, in order and with a gap between any two, each without its end."""
        return list(zip(self._starts, self._ends, strict=True))

    def missing_of(self, numbers: Collection[int]) -> list[int]:
        """Return those that are not in it, in their order."""
        if numbers and self._is_free(min(numbers), max(numbers) + 1):  # what a batch mostly finds
            return list(numbers)
        return [number for number in numbers if number not in self]

    def add(self, numbers: Sequence[int]) -> None:
        """Put all of them in, run by run: a batch mostly is one."""
        if not numbers:
            return
        begins = [at for at, (left, right) in enumerate(pairwise(numbers), 1) if right != left + 1]
        for begin, end in pairwise([0, *begins, len(numbers)]):
            self._add_run(numbers[begin], numbers[end - 1] + 1)

    def _add_run(self, start: int, end: int) -> None:
        # Those that overlap or touch become one.
        first, after = bisect_left(self._ends, start), bisect_right(self._starts, end)
        if first < after:
            start, end = min(start, self._starts[first]), max(end, self._ends[after - 1])
        self._starts[first:after], self._ends[first:after] = [start], [end]

    def _is_free(self, start: int, end: int) -> bool:
        return bisect_right(self._ends, start) == bisect_left(self._starts, end)


class Ledger:
    """Which sequences of one producer stand in its file, as far as the file has been read.

    The file is the ledger; this is only what was read of it, so that it need not be read twice: not by us,
    and by others only where we could leave them no note. We leave one only of what was learned from a note,
    or read from the beginning on, with no change since that neither we nor a note can explain: what we are
    mistaken about, others are not to believe.
    """

    __slots__ = ("_file", "_line", "_noted", "_producer", "_seen", "_sure", "_tail", "present", "size_bytes")

    def __init__(self, producer: str) -> None:
        self.present = Intervals()
        self.size_bytes = 0
        self._producer = producer
        self._file: tuple[int, int] | None = None
        self._seen = (0, 0)
        """How long the file was, and when it was changed, when we had it last."""
        self._sure = self._noted = False
        self._tail = b""
        # Begins with literal bytes, for which a pattern is searched four times as fast as with `^`.
        self._line = re.compile(rb'\n\{"record_id":"%b:(\d{1,19})"' % re.escape(producer.encode()))

    def catch_up(self, fd: int) -> bool:
        """Learn what others, or this process before a restart, appended since the last look.

        By the note they left, or by reading it. Cut off a last line without its end: its writer died, and
        what it wrote was never acknowledged. Return whether the file is another than last time, or was
        changed by other means than appending, and is known from its beginning on again. The caller holds its
        lock. Lines that are not ours are let be.
        """
        status = os.fstat(fd)
        is_new = not self._knows(fd, status)
        if is_new:
            self.present, self.size_bytes, self._tail = Intervals(), 0, b""
        if is_new or not self._sure or self._seen != _look_of(status):
            self._noted = self._take_note(fd, status)
            self._sure = self._noted or is_new
        self._read_on(fd, status.st_size)
        self._seen = _look_of(status)
        return is_new

    def appended(self, sequences: Sequence[int], content: bytes) -> None:
        """Take note of whole lines that stand at the end of the file."""
        if content:
            self._advance(sequences, len(content), content[-_TAIL_BYTES:])
            self._noted = False

    def cut_back(self, fd: int) -> None:
        """Cut off what was written and not taken note of."""
        os.ftruncate(fd, self.size_bytes)
        self._seen = _look_of(os.fstat(fd))

    def leave_note(self, fd: int) -> None:
        """Tell other processes what stands in the file, all of which is synced, if we can be sure of it."""
        status = os.fstat(fd)
        if status.st_size != self.size_bytes:  # somebody writes without asking for the lock
            return
        self._seen = _look_of(status)
        if self._sure and not self._noted:
            ledger_note.leave(fd, self._producer, status, self.present.runs())
            self._noted = True

    def _take_note(self, fd: int, status: os.stat_result) -> bool:
        """Take over what another process left a note of, if there is one."""
        runs = ledger_note.find(fd, self._producer, status)
        if runs is None:
            return False
        end = status.st_size
        tail = os.pread(fd, _TAIL_BYTES, max(end - _TAIL_BYTES, 0))
        if tail and not tail.endswith(b"\n"):
            return False
        self.present, self.size_bytes, self._tail = Intervals(runs), end, tail
        return True

    def _read_on(self, fd: int, end: int) -> None:
        """Read what was not read yet, and cut off a last line without its end."""
        most = _BLOCK_BYTES
        while self.size_bytes < end:
            block = self._block(fd, min(end - self.size_bytes, most))
            size = max(block.rfind(b"\n"), 0)
            if size:
                # Searched where it lies: to copy as much costs more than to search it.
                sequences = [int(sequence) for sequence in self._line.findall(block, 0, size)]
                self._advance(sequences, size, block[max(size + 1 - _TAIL_BYTES, 1) : size + 1])
            elif self.size_bytes + most < end:
                most *= 2  # for a line longer than a block
            else:
                self.cut_back(fd)
                break

    def _advance(self, sequences: Sequence[int], size: int, tail: bytes) -> None:
        self.present.add(sequences)
        self.size_bytes += size
        self._tail = (self._tail + tail)[-_TAIL_BYTES:]

    def _block(self, fd: int, size: int) -> bytes:
        """Return so many bytes that were not read yet, and before them the newline that they follow.

        Never fewer: what could not be read is not known to be without its end. Raise OSError instead.
        """
        block = b"" if self.size_bytes else b"\n"
        at = max(self.size_bytes - 1, 0)
        while (left := size + 1 - len(block)) > 0:
            read = os.pread(fd, left, at)
            if not read:
                raise OSError(errno.EIO, "the file became shorter while it was read")
            block = block + read if block else read
            at += len(read)
        return block

    def _knows(self, fd: int, status: os.stat_result) -> bool:
        """Tell whether what was read still stands there; a file made anew may even have the old number."""
        file, self._file = self._file, (status.st_dev, status.st_ino)
        tail = os.pread(fd, len(self._tail), self.size_bytes - len(self._tail))
        return file == self._file and tail == self._tail


def _look_of(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
