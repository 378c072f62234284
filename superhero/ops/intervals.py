"""A set of whole numbers, kept as intervals: it takes memory per gap and not per number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator


class Intervals:
    """Whole numbers from 0; an interval (3, 5) stands for 3 and 4. Iterates over its intervals in order."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, numbers: Iterable[int] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for number in numbers:
            self.add(number, number + 1)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._ends, strict=True))

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number)
        return at > 0 and number < self._ends[at - 1]

    def __len__(self) -> int:
        """How many numbers are in it."""
        return sum(self._ends) - sum(self._starts)

    @property
    def end(self) -> int:
        """The number after the largest; 0 when there is none."""
        return self._ends[-1] if self._ends else 0

    def add(self, start: int, end: int) -> int:
        """Put the numbers from `start` to before `end` in; return how many of them were not there yet."""
        # Those that overlap or touch are joined into one.
        first, after = bisect_left(self._ends, start), bisect_right(self._starts, end)
        there = sum(min(end, self._ends[at]) - max(start, self._starts[at]) for at in range(first, after))
        new = end - start - there
        if first < after:
            start, end = min(start, self._starts[first]), max(end, self._ends[after - 1])
        self._starts[first:after], self._ends[first:after] = [start], [end]
        return new

    def without(self, other: Intervals) -> Intervals:
        """Return what is in this set and not in the other."""
        left = Intervals()
        for start, end in self:
            for gap_start, gap_end in other.gaps(start, end):
                left.add(gap_start, gap_end)
        return left

    def gaps(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Yield, as intervals, the numbers from `start` to before `end` that are not in it."""
        for at in range(bisect_right(self._ends, start), len(self._starts)):
            if self._starts[at] >= end:
                break
            if start < self._starts[at]:
                yield start, self._starts[at]
            start = self._ends[at]
        if start < end:
            yield start, end


ByProducer = defaultdict[str, Intervals]
"""The numbers of each producer's records."""


def put(found: ByProducer, record_id: str) -> None:
    """Put a record in; its id is `<producer>:<number>`."""
    producer, _, number = record_id.rpartition(":")
    found[producer].add(int(number), int(number) + 1)


def by_producer(record_ids: Iterable[str]) -> ByProducer:
    """Return the numbers of each producer's records."""
    found: ByProducer = defaultdict(Intervals)
    for record_id in record_ids:
        put(found, record_id)
    return found
