"""What holds encoded records between the logging call and the broker's confirm.

A buffer hands records out under a lease and forgets them only when exactly they were confirmed; what was
leased and not confirmed comes out again after `release`. `MemoryBuffer` lives and dies with its process.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Lease:
    """Records of one channel, in the order in which they were logged, that go out as one task.

    `task_id` is the same whenever the same lease is sent again.
    """

    task_id: str
    channel: str
    first_id: str
    encoded: Sequence[bytes]


class Buffer(Protocol):
    """Bounded; safe from many threads. One publisher thread leases, confirms and releases."""

    def put(self, channel: str, record_id: str, encoded: bytes) -> bool:
        """Keep a record; False when there is no room. Never blocks on anything but a short lock."""

    def lease(self, max_records: int, max_bytes: int) -> Lease | None:
        """Hand out the oldest records of one channel that wait, or None when nothing waits."""

    def confirm(self, lease: Lease) -> None:
        """Forget exactly the lease's records: the broker has them."""

    def release(self, lease: Lease) -> None:
        """Take the lease's records back; they are handed out again, before younger ones."""

    def __len__(self) -> int:
        """How many records are here, leased ones included."""

    @property
    def size_bytes(self) -> int:
        """How many bytes the records here take, leased ones included."""
