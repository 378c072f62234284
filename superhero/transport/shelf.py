"""The segments of a spool, ours and those that dead processes left: written, read in order, and deleted.

Adopted segments have negative numbers, so that their records are older than any of our own.

`head` and `make_room` are for who holds the put lock of `Spool`, the rest but `sync` for who holds its read
lock; the two never share more than a segment's end and the queues here, of which each operation is atomic.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from superhero.errors import SpoolError
from superhero.transport.segment import FRAME_BYTES, STRIDE, Segment
from superhero.transport.spool_folder import Folder, prepare

_FIRST_ADOPTED = -(1 << 30)
_READ_AGAIN_S = 1.0
"""How long a segment that could not be read is left alone; too many open files are enough for that."""


class Shelf:
    """Segments under `spool_dir`. What the disk refuses on the way is told by `take_trouble`."""

    def __init__(self, spool_dir: Path, segment_bytes: int, max_bytes: int) -> None:
        self.corrupt = 0
        """How many stretches of damage were met."""
        self._spool_dir = prepare(spool_dir)
        self._segment_bytes = segment_bytes
        self._max_bytes = max_bytes
        self._folder: Folder | None = None
        self.head: Segment | None = None
        """The segment that records are appended to, as far as its `limit`."""
        self._next_number = 0
        self._next_adopted = _FIRST_ADOPTED
        self._all: dict[int, tuple[Segment, Folder]] = {}
        self._unread: deque[Segment] = deque()
        self._unreadable: list[Segment] = []
        self._read_again_at = 0.0
        self._unsynced: deque[Segment] = deque()
        self._sync_lock = threading.Lock()
        # What was appended before the head; the head itself counts what it holds.
        self._sealed = self._sealed_bytes = 0
        self._deleted_bytes = self._adopted_bytes = 0
        self._trouble: SpoolError | None = None

    @property
    def appended(self) -> int:
        """How many records were appended."""
        head = self.head
        return self._sealed + (0 if head is None else head.count)

    @property
    def appended_bytes(self) -> int:
        """How many bytes they took, without the frames around them."""
        head = self.head
        return self._sealed_bytes + (0 if head is None else head.end) - FRAME_BYTES * self.appended

    @property
    def end(self) -> int:
        """The position behind the youngest record."""
        head = self.head
        return 0 if head is None else head.number * STRIDE + head.end

    def make_room(self, size: int) -> Segment | None:
        """Return the segment that takes a record of `size` bytes; None when the spool's limit forbids.

        To be asked where there is no `head`, or the record reaches beyond its limit. May raise OSError.
        """
        head = self.head
        room = self._max_bytes - self._adopted_bytes + self._deleted_bytes - self._sealed_bytes
        if room - (0 if head is None else head.end) < size:
            return None
        if head is None or head.end >= self._segment_bytes:
            room -= 0 if head is None else head.end
            head = self._new_head()
        head.limit = max(min(self._segment_bytes, room), head.end + size)
        return head

    def read(self) -> tuple[list[int], list[bytes]] | None:
        """Return the next records' positions and the records, the oldest first; None when none is to come."""
        if self._unreadable and time.monotonic() >= self._read_again_at:
            self._unread.extendleft(reversed(self._unreadable))
            self._unreadable.clear()
        while self._unread:
            segment = self._unread[0]
            # Asked before the read: of what is appended after it nothing is missed.
            sealed = segment.sealed
            if not segment.exhausted:
                positions, records = self._read(segment)
                if records:
                    return positions, records
            if not sealed:
                return None
            if self._unread and self._unread[0] is segment and segment.exhausted:
                self._unread.popleft()
        return None

    @property
    def read_failed(self) -> bool:
        """Whether there is what could not be read, and is to be tried again."""
        return bool(self._unreadable)

    def unread(self) -> Iterator[int]:
        """Yield the position of the next record of each segment that has more."""
        for segment in (*self._unread, *self._unreadable):
            if segment.read_at < segment.end:
                yield segment.number * STRIDE + segment.read_at

    def mark_done(self, positions: Sequence[int]) -> None:
        """Note that the records at these positions are confirmed, and delete segments that are finished."""
        for number, of_segment in _by_segment(positions):
            begin = number * STRIDE
            try:
                self._all[number][0].mark_done([position - begin for position in of_segment])
            except OSError as error:
                self.note("written", error)  # after a crash these records go out once more
        self._delete_finished()

    def sync(self) -> bool:
        """Make everything appended so far safe from a power cut; False when the disk refuses."""
        with self._sync_lock:
            try:
                while self._unsynced:
                    segment, folder = self._unsynced[0], self._folder
                    # Asked before the sync: a segment that is sealed meanwhile comes up once more.
                    sealed = segment.sealed
                    if not segment.finished and folder is not None:
                        if segment.synced == 0:
                            folder.sync()
                        segment.sync()
                    if not sealed:
                        break
                    segment.rest()
                    self._unsynced.popleft()
            except OSError as error:
                self.note("synced", error)
                return False
        return True

    def scan(self) -> Iterator[tuple[Folder, list[Segment], int, int]]:
        """Yield what each dead process left: its folder, now ours, its segments, records and bytes."""
        try:
            for folder in Folder.adopt(self._spool_dir):
                try:
                    kept, records, size = self._look_through(folder)
                except OSError as error:
                    self.note("looked through", error)
                    folder.close()  # for the next scan, ours or another process's
                    continue
                if kept:
                    yield folder, kept, records, size
                else:
                    folder.remove()
        except OSError as error:
            self.note("looked through", error)

    def adopt(self, folder: Folder, segments: Sequence[Segment]) -> None:
        """Put segments that `scan` yielded before all others."""
        for segment in reversed(segments):
            self._all[segment.number] = (segment, folder)
            self._adopted_bytes += segment.end
            self._unread.appendleft(segment)
        if (head := self.head) is not None:
            head.limit = 0  # there is less room now: `make_room` is to see how much

    def take_trouble(self) -> SpoolError | None:
        """Return what the disk refused last, once; for somebody who may log, as logging calls may not."""
        trouble, self._trouble = self._trouble, None
        return trouble

    def close(self) -> None:
        """Close the files. Folders of which everything is confirmed are deleted, others left for adoption."""
        self._seal_head()
        self.head = None
        self._delete_finished()
        with self._sync_lock:
            folders = {folder for _, folder in self._all.values()}
            for segment, _ in self._all.values():
                segment.close()
            for folder in folders:
                folder.close()
            if self._folder is not None and self._folder not in folders:
                self._folder.remove()
            self._all.clear()
            self._folder = None

    def abandon(self) -> None:
        """In a forked child: let go of the locks, which stay with the parent, so that its heir need not wait.

        Takes no lock of a thread, as one that does not live here may hold it, and leaves other descriptors
        open: the parent may have been about to close one and its number may be another file's by now.
        """
        for folder in {folder for _, folder in list(self._all.values())} | {self._folder}:
            if folder is not None:
                folder.close()

    def _new_head(self) -> Segment:
        if self._folder is None or not self._folder.path.is_dir():
            self._folder = Folder.make(self._spool_dir)
        number = self._next_number
        segment = Segment(self._folder.path / f"{number:08}.log", number, new=True)
        self._next_number = number + 1
        self._seal_head()
        self._all[number] = (segment, self._folder)
        self._unsynced.append(segment)
        self._unread.append(segment)
        self.head = segment
        return segment

    def _seal_head(self) -> None:
        # Counted here before it is the head no more: who looks in between sees too much, never too little.
        if self.head is not None:
            self._sealed += self.head.count
            self._sealed_bytes += self.head.end
            self.head.sealed = True

    def _read(self, segment: Segment) -> tuple[list[int], list[bytes]]:
        try:
            positions, records, corrupt = segment.read()
        except OSError as error:
            self.note("read", error)
            self._unreadable.append(self._unread.popleft())
            self._read_again_at = time.monotonic() + _READ_AGAIN_S
            return [], []
        self.corrupt += corrupt
        return positions, records

    def _delete_finished(self) -> None:
        for number, (segment, folder) in list(self._all.items()):
            if segment.finished and segment.exhausted:
                with self._sync_lock:
                    del self._all[number]
                    self._delete(segment)
                    while self._unsynced and self._unsynced[0].finished:
                        self._unsynced.popleft()
                if number >= 0:
                    self._deleted_bytes += segment.end
                    continue
                self._adopted_bytes -= segment.end
                if all(other is not folder for _, other in list(self._all.values())):
                    folder.remove()

    def _delete(self, segment: Segment) -> None:
        try:
            segment.remove()
        except OSError as error:
            self.note("tidied", error)  # after a crash its records go out once more

    def _look_through(self, folder: Folder) -> tuple[list[Segment], int, int]:
        kept: list[Segment] = []
        records = size = 0
        for path in folder.segments():
            segment = Segment(path, self._next_adopted, new=False)
            self._next_adopted += 1
            try:
                found = segment.scan()
            finally:
                segment.rest()
            self.corrupt += found.corrupt
            if found.records:
                kept.append(segment)
                records += found.records
                size += found.size_bytes
            else:
                self._delete(segment)
        return kept, records, size

    def note(self, what: str, error: OSError) -> None:
        """Remember what the disk refused, for `take_trouble`."""
        self._trouble = SpoolError(f"the spool under {self._spool_dir} cannot be {what}: {error}")


def _by_segment(positions: Sequence[int]) -> Iterable[tuple[int, Iterable[int]]]:
    """Return (number of a segment, positions in it), stretch by stretch."""
    number = _number(min(positions))
    if number == _number(max(positions)):  # as mostly; told by two of them, and not by each
        return [(number, positions)]
    return groupby(positions, _number)


def _number(position: int) -> int:
    return position // STRIDE
