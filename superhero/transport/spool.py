"""A buffer on disk: what is in it when its process is killed, the next process that comes sends.

A record is in the kernel's page cache when `put` returns, so the end of the process, kill -9 included, costs
nothing. A power cut costs what was put since the last `sync` and was not confirmed by then; `SpoolKeeper`
calls `sync`. Confirmed records are noted in a journal; a file of which every record is confirmed is deleted.
Records are read back from disk when their turn comes, so memory does not grow with what waits.

What the disk refuses (full, read-only) is kept in memory, up to the bounds of a `MemoryBuffer`, and goes out
first. When the spool has reached its limit the newest records are refused.

What a process took over counts against its limit like its own, as whole files and until these are deleted,
so that one that is killed and started again and again does not fill the disk. Not counted are journals (some
1 % of what they are about), what is put before the first look for dead processes is over, and what other
living processes keep in the directory: each has a limit of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence, Set
from contextlib import suppress
from pathlib import Path

from superhero.errors import SpoolError
from superhero.transport.buffer import Mark, MemoryBuffer
from superhero.transport.flight import Limits
from superhero.transport.leases import NONE, Lease, Line
from superhero.transport.shelf import Shelf

SEGMENT_BYTES = 8 * 1024 * 1024
_AHEAD_RECORDS, _AHEAD_BYTES = 4 * Limits.batch_records, 4 * Limits.batch_bytes
"""How much is read ahead for channels that do not rest: full tasks of a few of them."""
_MOST_AHEAD_BYTES = 2 * Limits.window * Limits.batch_bytes
"""What may stand in memory at all, in flight or of resting channels; beyond it these hold up the others."""
_PAUSE_S = 1.0
"""How long memory takes what the disk refused before the disk is tried again."""


class Spool:
    """A buffer under `spool_dir` that takes up to `max_bytes` bytes of disk; see `Buffer` for its promises.

    Any number of processes, and of spools in one, may share the directory. Raise SpoolError if it cannot be
    used at all.
    """

    def __init__(
        self, spool_dir: Path, max_bytes: int, memory: MemoryBuffer, *, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.adopted = 0
        """How many were found that dead processes left."""
        # What is confirmed makes room a segment at a time, so several must fit.
        self._shelf = Shelf(spool_dir, min(segment_bytes, max_bytes // 8), max_bytes)
        self._memory = memory
        self.put_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._line = Line()
        self._from_memory: set[str] = set()
        self._read_to = 0
        # Own records, unconfirmed, that were read after younger ones: in their lines they are not in order.
        self._late: set[int] = set()
        self._adopted_bytes = 0
        self._done = self._done_bytes = 0
        self._disk_again_at = float("-inf")

    @property
    def spooled(self) -> int:
        """How many records were written to disk."""
        return self._shelf.appended

    @property
    def corrupt(self) -> int:
        """How many damaged stretches were left out."""
        return self._shelf.corrupt

    def put(self, encoded: bytes) -> bool:
        """Keep a record; False when the spool is at its limit, or the disk refuses and memory is full."""
        head = self._shelf.head
        try:
            if head is not None and head.append(encoded):
                return True
            if time.monotonic() < self._disk_again_at:
                return self._memory.put(encoded)
            # More than once where dead processes' segments are adopted meanwhile, which leaves less room.
            while (head := self._shelf.make_room(len(encoded))) is not None:
                if head.append(encoded):
                    return True
            return False
        except OSError as error:
            self._shelf.note("written", error)
            if head is not None:
                head.limit = 0  # so that the next record comes by here
            self._disk_again_at = time.monotonic() + _PAUSE_S
            return self._memory.put(encoded)

    def put_many(self, encoded: Sequence[bytes]) -> int:
        """Keep as many of some records as there is room for, mostly by one write; return how many."""
        head = self._shelf.head
        with suppress(
            OSError
        ):  # nothing of it is kept then; `put` meets the same and does what is to be done
            if head is not None and head.append_all(encoded):
                return len(encoded)
        return sum(map(self.put, encoded))

    def lease(
        self, max_records: int, max_bytes: int, *, resting: Set[str] = NONE, busy: Set[str] = NONE
    ) -> Lease | None:
        """Hand out the oldest records of one channel that wait, or None when nothing waits."""
        with self._read_lock:
            lease = self._memory.lease(max_records, max_bytes, resting=resting, busy=busy)
            if lease is not None:
                self._from_memory.add(lease.task_id)
                return lease
            self._read_ahead(resting)
            return self._line.lease(max_records, max_bytes, resting, busy)

    def confirm(self, lease: Lease) -> None:
        """Note in the journal that exactly the lease's records are confirmed, and delete what is finished."""
        with self._read_lock:
            if lease.task_id in self._from_memory:
                self._from_memory.discard(lease.task_id)
                self._memory.confirm(lease)
            elif self._line.confirm(lease):
                self._shelf.mark_done(lease.positions)
                if self._late:
                    self._late.difference_update(lease.positions)
                self._done += len(lease.encoded)
                self._done_bytes += lease.size_bytes

    def release(self, lease: Lease) -> None:
        """Take the lease's records back; they are handed out again, before younger ones."""
        with self._read_lock:
            if lease.task_id in self._from_memory:
                self._from_memory.discard(lease.task_id)
                self._memory.release(lease)
            else:
                self._line.release(lease)

    def mark(self) -> Mark:
        """Return a mark that stands behind every record put so far."""
        return (self._shelf.end, *self._memory.mark())

    def settled(self, mark: Mark) -> bool:
        """Return whether everything put before the mark was taken is confirmed; adopted records aside."""
        with self._read_lock:
            heads = (position for position, _ in self._line.heads())
            waiting = (*heads, *self._late, *self._shelf.unread())
            waits = any(0 <= position < mark[0] for position in waiting)
            return not waits and self._memory.settled(mark[1:])

    def oldest(self) -> bytes | None:
        """Return the oldest record that is here, leased or not; None when there is none."""
        with self._read_lock:
            self._read_ahead(NONE)
            return self._line.oldest() or self._memory.oldest()

    def sync(self) -> bool:
        """Make everything here safe from a power cut; False when the disk refuses, or memory holds some."""
        return self._shelf.sync() and self._memory.sync()

    def adopt(self) -> int:
        """Take over what dead processes left, and return how many records that is."""
        before = self.adopted
        for folder, segments, records, size in self._shelf.scan():
            with self._read_lock:
                self._shelf.adopt(folder, segments)
                self.adopted += records
                self._adopted_bytes += size
        return self.adopted - before

    @property
    def read_failed(self) -> bool:
        """Whether the disk refused to read some of it, which a later `lease` tries again."""
        return self._shelf.read_failed

    def take_trouble(self) -> SpoolError | None:
        """Return what the disk refused last, once; for somebody who may log, as logging calls may not."""
        return self._shelf.take_trouble()

    def close(self) -> None:
        """Close the files. What is confirmed is deleted, the rest stays for whoever comes next."""
        with self._read_lock, self.put_lock:
            self._shelf.close()

    def abandon(self) -> None:
        """In a forked child: let go of the folders, which stay locked by the parent."""
        self._shelf.abandon()

    def __len__(self) -> int:
        """How many records are here, leased ones included."""
        return self.spooled + self.adopted - self._done + len(self._memory)

    @property
    def size_bytes(self) -> int:
        """How many bytes the records here take, leased ones included."""
        of_disk = self._shelf.appended_bytes + self._adopted_bytes - self._done_bytes
        return of_disk + self._memory.size_bytes

    def _read_ahead(self, resting: Set[str]) -> None:
        """Have enough records in memory that a full lease can be cut, if there are as many."""
        line = self._line
        while line.size_bytes < _MOST_AHEAD_BYTES:
            records, size = line.queued(resting)
            if records >= _AHEAD_RECORDS or size >= _AHEAD_BYTES:
                return
            found = self._shelf.read()
            if found is None:
                return
            positions, encoded = found
            if positions[0] < self._read_to:
                self._late.update(position for position in positions if position >= 0)
            self._read_to = max(self._read_to, positions[-1])
            line.add(positions, encoded)
