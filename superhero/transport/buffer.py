"""What holds encoded records between the logging call and the broker's confirm.

A buffer hands records out under a lease and forgets them only when exactly they were confirmed; what was
leased and not confirmed comes out again after `release`. `MemoryBuffer` lives and dies with its process;
`Spool` in spool.py outlives it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence, Set
from typing import Protocol

from superhero.transport.leases import NONE, Lease, Line

Mark = tuple[int, ...]


class Buffer(Protocol):
    """Bounded; safe from many threads. One publisher thread leases, confirms and releases.

    `put` has a lock of its own, which its caller holds already: so a logging call takes one lock, and never
    waits for a reader. Whoever needs both that and the lock of the readers takes it second: a finalizer that
    logs may run in a reader's thread.
    """

    put_lock: threading.RLock

    def put(self, encoded: bytes) -> bool:
        """Keep a record; False when there is no room. Hold `put_lock`; waits for no other."""

    def put_many(self, encoded: Sequence[bytes]) -> int:
        """Do as `put` with each of some records; return how many are kept."""

    def lease(
        self, max_records: int, max_bytes: int, *, resting: Set[str] = NONE, busy: Set[str] = NONE
    ) -> Lease | None:
        """Hand out the oldest records of one channel that wait, or None when nothing waits.

        At least one record, however large. Nothing of a `resting` channel; of a `busy` one only a full
        lease, or one that was handed out before.
        """

    def confirm(self, lease: Lease) -> None:
        """Forget exactly the lease's records: the broker has them."""

    def release(self, lease: Lease) -> None:
        """Take the lease's records back; they are handed out again, before younger ones."""

    def mark(self) -> Mark:
        """Return a mark that stands behind every record put so far."""

    def settled(self, mark: Mark) -> bool:
        """Return whether everything put before the mark was taken is confirmed."""

    def oldest(self) -> bytes | None:
        """Return the oldest record that is here, leased or not; None when there is none."""

    def sync(self) -> bool:
        """Make what is here outlive the process and a power cut; False when that cannot be."""

    def close(self) -> None:
        """Let go of what the buffer holds, files and locks included. It is not used afterwards."""

    def abandon(self) -> None:
        """In a forked child: let go of what is the parent's."""

    def __len__(self) -> int:
        """How many records are here, leased ones included."""

    @property
    def size_bytes(self) -> int:
        """How many bytes the records here take, leased ones included."""


class MemoryBuffer:
    """Keeps up to `max_records` records and `max_bytes` bytes; what comes when it is full is refused."""

    def __init__(self, max_records: int, max_bytes: int) -> None:
        self._max_records = max_records
        self._max_bytes = max_bytes
        self.put_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._incoming: deque[tuple[int, bytes]] = deque()
        self._line = Line()
        self._put = self._put_bytes = 0
        self._done = self._done_bytes = 0

    def put(self, encoded: bytes) -> bool:
        """Keep a record; False when there is no room. Hold `put_lock`."""
        put, put_bytes = self._put, self._put_bytes + len(encoded)
        if put - self._done >= self._max_records or put_bytes - self._done_bytes > self._max_bytes:
            return False
        self._incoming.append((put, encoded))
        self._put, self._put_bytes = put + 1, put_bytes
        return True

    def put_many(self, encoded: Sequence[bytes]) -> int:
        """Keep as many of some records as there is room for, and return how many. Hold `put_lock`."""
        return sum(map(self.put, encoded))

    def lease(
        self, max_records: int, max_bytes: int, *, resting: Set[str] = NONE, busy: Set[str] = NONE
    ) -> Lease | None:
        """Hand out the oldest records of one channel that wait, or None when nothing waits."""
        with self._read_lock:
            return self._all().lease(max_records, max_bytes, resting, busy)

    def confirm(self, lease: Lease) -> None:
        """Forget exactly the lease's records: the broker has them."""
        with self._read_lock:
            if self._line.confirm(lease):
                self._done += len(lease.encoded)
                self._done_bytes += lease.size_bytes

    def release(self, lease: Lease) -> None:
        """Take the lease's records back; they are handed out again, before younger ones."""
        with self._read_lock:
            self._line.release(lease)

    def mark(self) -> Mark:
        """Return a mark that stands behind every record put so far."""
        return (self._put,)

    def settled(self, mark: Mark) -> bool:
        """Return whether everything put before the mark was taken is confirmed."""
        with self._read_lock:
            return all(position >= mark[0] for position, _ in self._all().heads())

    def oldest(self) -> bytes | None:
        """Return the oldest record that is here, leased or not; None when there is none."""
        with self._read_lock:
            return self._all().oldest()

    def sync(self) -> bool:
        """Return False unless empty: nothing here outlives the process."""
        return len(self) == 0

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def abandon(self) -> None:
        """Do nothing: memory is a forked child's own."""

    def __len__(self) -> int:
        """How many records are here, leased ones included."""
        return self._put - self._done

    @property
    def size_bytes(self) -> int:
        """How many bytes the records here take, leased ones included."""
        return self._put_bytes - self._done_bytes

    def _all(self) -> Line:
        """Put what came into line, and return it."""
        incoming = self._incoming
        # As many as there are now: while it is asked to, a deque that others append to must not be iterated.
        if came := [incoming.popleft() for _ in range(len(incoming))]:
            self._line.add(*zip(*came, strict=True))
        return self._line
