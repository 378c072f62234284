"""The order in which waiting records are handed out, and what is out: the part that all buffers share."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import accumulate
from uuid import UUID

from superhero.transport.envelope import by_channel

NONE: Set[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Lease:
    """Records of one channel, in the order in which they were logged, that go out as one task.

    `task_id` follows from the record ids alone, so it is the same whenever the same records are sent again.
    `positions` says where each of them stands in its buffer; the first one's names the lease there.
    """

    task_id: str
    channel: str
    first_id: str
    encoded: Sequence[bytes]
    positions: Sequence[int] = field(default=(0,), repr=False)
    size_bytes: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What goes beside the task's own headers."""


def task_id(record_ids: Iterable[bytes]) -> str:
    """Return the id of the task that carries these records in this order."""
    return str(UUID(bytes=blake2b(b"\n".join(record_ids), digest_size=16).digest()))


class _Channel:
    """The records of one channel that wait, the oldest first: three lists side by side.

    A tuple per record would cost as much as all else that is done about it here.
    """

    __slots__ = ("encoded", "ids", "positions", "size_bytes")

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.ids: list[bytes] = []
        self.encoded: list[bytes] = []
        self.size_bytes = 0


class Line:
    """Records that wait, by channel, and leases that are out. Not safe from several threads at once.

    A position is a number that its buffer gives, larger for younger records and never given twice. It is
    negative for a record that another process left; such a one may come at any time, before and behind ours.
    """

    def __init__(self) -> None:
        self.size_bytes = 0
        self._channels: dict[str, _Channel] = {}
        self._leased: dict[int, Lease] = {}
        self._returned: list[Lease] = []

    def add(self, positions: Sequence[int], records: Sequence[bytes]) -> None:
        """Put encoded records, which stand at these positions, at the end of the lines of their channels."""
        begin = 0
        for channel, ids in by_channel(records):
            end = begin + len(ids)
            at, encoded = positions[begin:end], records[begin:end]
            size = sum(map(len, encoded))
            line = self._channels.get(channel)
            if line is None:
                line = self._channels[channel] = _Channel()
            # Nothing between these that a signal handler could come in by: the three stay side by side.
            line.positions += at
            line.ids += ids
            line.encoded += encoded
            line.size_bytes += size
            self.size_bytes += size
            begin = end

    def lease(self, max_records: int, max_bytes: int, resting: Set[str], busy: Set[str]) -> Lease | None:
        """Hand out records as `Buffer.lease` says."""
        lease = self._take_returned(resting)
        if lease is None:
            name = self._oldest_channel(max_records, max_bytes, resting, busy)
            if name is None:
                return None
            lease = self._cut(name, max_records, max_bytes)
        self._leased[lease.positions[0]] = lease
        return lease

    def confirm(self, lease: Lease) -> bool:
        """Forget the records of a lease; False when it is not out."""
        if self._leased.pop(lease.positions[0], None) is None:
            return False
        self.size_bytes -= lease.size_bytes
        return True

    def release(self, lease: Lease) -> None:
        """Take a lease back, to be handed out first and as it is."""
        if self._leased.pop(lease.positions[0], None) is not None:
            insort(self._returned, lease, key=_position)

    def queued(self, resting: Set[str]) -> tuple[int, int]:
        """Return how many records, and bytes, wait in the lines of channels that do not rest."""
        lines = [line for name, line in self._channels.items() if name not in resting]
        return sum(len(line.encoded) for line in lines), sum(line.size_bytes for line in lines)

    def heads(self) -> Iterator[tuple[int, bytes]]:
        """Yield (position, encoded) of the first record of every channel's line and of every lease.

        Where another process left that one, also of the first that is our own.
        """
        for line in self._channels.values():
            # Not strict: a finalizer may ask amid `_cut`, which takes from one list after the other.
            yield from _heads(zip(line.positions, line.encoded, strict=False))
        for lease in (*self._leased.values(), *self._returned):
            yield from _heads(zip(lease.positions, lease.encoded, strict=True))

    def oldest(self) -> bytes | None:
        """Return the oldest record, leased or not."""
        return min(self.heads(), default=(0, None), key=lambda head: head[0])[1]

    def _take_returned(self, resting: Set[str]) -> Lease | None:
        for index, lease in enumerate(self._returned):
            if lease.channel not in resting:
                return self._returned.pop(index)
        return None

    def _oldest_channel(
        self, max_records: int, max_bytes: int, resting: Set[str], busy: Set[str]
    ) -> str | None:
        found: str | None = None
        oldest = 0
        for name, line in self._channels.items():
            position = line.positions[0]
            if (found is None or position < oldest) and name not in resting:
                full = len(line.encoded) >= max_records or line.size_bytes >= max_bytes
                if full or name not in busy:
                    found, oldest = name, position
        return found

    def _cut(self, name: str, max_records: int, max_bytes: int) -> Lease:
        line = self._channels[name]
        count = max(max_records, 1)
        sizes = list(accumulate(map(len, line.encoded[:count])))
        count = max(bisect_right(sizes, max_bytes), 1)
        size = sizes[count - 1]
        positions, ids, encoded = line.positions[:count], line.ids[:count], line.encoded[:count]
        del line.positions[:count], line.ids[:count], line.encoded[:count]
        line.size_bytes -= size
        if not line.encoded:
            del self._channels[name]
        return Lease(task_id(ids), name, ids[0].decode("ascii"), encoded, positions, size)


def _heads(records: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Yield the first of some (position, encoded), and the first of our own where that is another."""
    first = True
    for record in records:
        ours = record[0] >= 0
        if first or ours:
            yield record
        if ours:
            return
        first = False


def _position(lease: Lease) -> int:
    return lease.positions[0]
