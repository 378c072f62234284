"""Intervals of record numbers: whatever is put in, in any order, they are a set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from superhero.ops.intervals import Intervals

RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=20)


def build(ranges: list[tuple[int, int]]) -> tuple[Intervals, set[int]]:
    """Return the same numbers as intervals and as a set, `add` checked on the way."""
    intervals, numbers = Intervals(), set[int]()
    for start, length in ranges:
        added = set(range(start, start + length))
        assert intervals.add(start, start + length) == len(added - numbers)
        numbers |= added
    return intervals, numbers


def numbers_of(intervals: Intervals) -> list[int]:
    """Return every number, in order."""
    return [number for start, end in intervals for number in range(start, end)]


@given(RANGES)
def test_intervals_are_a_set_in_as_few_pieces_as_can_be(ranges: list[tuple[int, int]]) -> None:
    intervals, numbers = build(ranges)
    assert numbers_of(intervals) == sorted(numbers)
    assert len(intervals) == len(numbers)
    assert intervals.end == max(numbers, default=-1) + 1
    assert {number for number in range(60) if number in intervals} == numbers
    assert len(list(intervals)) == sum(number - 1 not in numbers for number in numbers)


@given(RANGES, st.integers(0, 60), st.integers(0, 60))
def test_gaps_are_what_is_not_in_it(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    intervals, numbers = build(ranges)
    found = [number for gap in intervals.gaps(start, end) for number in range(*gap)]
    assert found == [number for number in range(start, end) if number not in numbers]


@given(RANGES, RANGES)
def test_without_is_the_difference(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    (first, first_numbers), (second, second_numbers) = build(one), build(other)
    assert numbers_of(first.without(second)) == sorted(first_numbers - second_numbers)


def test_numbers_can_be_given_one_by_one() -> None:
    assert list(Intervals([3, 1, 2, 7, 2])) == [(1, 4), (7, 8)]
