"""What stands in an append-only file: a set that takes memory per gap, and how it is read from the file."""

from __future__ import annotations

import errno
import os
import tempfile
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.ledger import Intervals, Ledger

OURS = st.integers(0, 60).map(lambda number: (number, b'{"record_id":"p:%d","message":"x"}' % number))
OTHERS = st.sampled_from(
    [
        b'{"record_id":"q:1"}',
        b'{"record_id":"p:x"}',
        b'{"message":"","payload":{"record_id":"p:7"}}',
        b'{"message":"\\n{\\"record_id\\":\\"p:8\\"}"}',
        b"",
        b"y" * 300,
    ]
).map(lambda line: (None, line))


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


@given(st.lists(st.lists(OURS | OTHERS)), st.sampled_from([b"", b'{"record_id":"p:6', b"z" * 200]))
def test_a_ledger_finds_what_others_appended_and_cuts_off_what_was_not_ended(
    appends: list[list[tuple[int | None, bytes]]], unfinished: bytes
) -> None:
    """Blocks are as small as a line here, so that lines end and begin anywhere in them."""
    ledger, expected, whole = Ledger("p"), set[int](), b""
    with tempfile.TemporaryFile() as file, mock.patch("sinks.ledger._BLOCK_BYTES", 40):
        for append in appends:
            content = b"".join(line + b"\n" for _, line in append)
            whole += content
            expected |= {number for number, _ in append if number is not None}
            os.pwrite(file.fileno(), content + unfinished, ledger.size_bytes)
            ledger.catch_up(file.fileno())
            assert os.pread(file.fileno(), 1 << 20, 0) == whole
            assert ledger.size_bytes == len(whole)
            assert {number for number in range(61) if number in ledger.present} == expected


class OnlySoMuch:
    """Reads a file as a disk with a bad spot does: not beyond a place, and what lies there is an error."""

    def __init__(self, good_bytes: int) -> None:
        self.good_bytes = good_bytes
        self.pread = os.pread

    def __call__(self, fd: int, size: int, at: int) -> bytes:
        """Return what lies before the bad spot; raise OSError at it."""
        if at >= self.good_bytes:
            raise OSError(errno.EIO, "a bad spot")
        return self.pread(fd, min(size, self.good_bytes - at), at)


@given(st.integers(1, 200))
def test_what_cannot_be_read_is_not_cut_off(good_bytes: int) -> None:
    content = b"".join(b'{"record_id":"p:%d"}\n' % number for number in range(20))
    with tempfile.TemporaryFile() as file:
        os.pwrite(file.fileno(), content, 0)
        with (
            mock.patch("sinks.ledger.os.pread", OnlySoMuch(good_bytes)),
            pytest.raises(OSError, match="spot"),
        ):
            Ledger("p").catch_up(file.fileno())
        assert os.pread(file.fileno(), 1 << 20, 0) == content


def test_a_file_that_others_cut_while_it_is_read_is_an_error_and_not_made_longer() -> None:
    with tempfile.TemporaryFile() as file:
        os.pwrite(file.fileno(), b'{"record_id":"p:1"}\n' * 2, 0)
        longer = os.fstat(file.fileno())

        class Stale:
            st_dev, st_ino, st_size = longer.st_dev, longer.st_ino, longer.st_size + 7
            st_mtime_ns = longer.st_mtime_ns

        with (
            mock.patch("sinks.ledger.os.fstat", lambda fd: Stale()),
            pytest.raises(OSError, match="shorter"),
        ):
            Ledger("p").catch_up(file.fileno())
        assert os.fstat(file.fileno()).st_size == longer.st_size


def test_a_ledger_begins_anew_where_the_file_is_not_what_it_was() -> None:
    ledger = Ledger("p")
    with tempfile.TemporaryFile() as file:
        os.pwrite(file.fileno(), b'{"record_id":"p:1"}\n{"record_id":"p:2"}\n', 0)
        assert ledger.catch_up(file.fileno())
        assert not ledger.catch_up(file.fileno())
        os.pwrite(file.fileno(), b'{"record_id":"p:3"}\n', 20)
        assert ledger.catch_up(file.fileno())
        assert [number for number in range(5) if number in ledger.present] == [1, 3]
