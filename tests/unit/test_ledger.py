"""Intervals: a set of whole numbers that takes memory per gap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sinks.ledger import Intervals


@given(st.lists(st.integers(min_value=0, max_value=60)))
def test_intervals_hold_what_a_set_holds_in_as_few_pieces_as_can_be(numbers: list[int]) -> None:
    intervals, expected = Intervals(), set(numbers)
    for number in numbers:
        intervals.add([number])
    assert {number for number in range(-2, 64) if number in intervals} == expected
    assert len(intervals) == sum(number - 1 not in expected for number in expected)


@given(st.lists(st.lists(st.integers(min_value=0, max_value=60))), st.lists(st.integers(0, 60)))
def test_many_numbers_at_a_time_are_as_good_as_one_by_one(batches: list[list[int]], asked: list[int]) -> None:
    intervals, expected = Intervals(), {number for batch in batches for number in batch}
    for batch in batches:
        intervals.add(batch)
    assert {number for number in range(-2, 64) if number in intervals} == expected
    assert len(intervals) == sum(number - 1 not in expected for number in expected)
    assert intervals.missing_of(asked) == [number for number in asked if number not in expected]


def test_a_million_numbers_in_order_are_one_interval() -> None:
    intervals = Intervals()
    for start in range(0, 1_000_000, 1000):
        intervals.add(range(start, start + 1000))
    assert len(intervals) == 1
    assert 999_999 in intervals
    assert 1_000_000 not in intervals
