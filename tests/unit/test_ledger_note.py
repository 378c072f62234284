"""What a ledger leaves with its file for other processes: believed of exactly that file, and never needed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sinks.base import Append
from sinks.jsonlines import JsonLinesSink
from sinks.ledger import Ledger

NAME = "user.superhero.ledger"


def lines(*numbers: int) -> bytes:
    """Return rows of producer p as lines, a few of which are longer than what a ledger knows a file by."""
    return b"".join(b'{"record_id":"p:%d","message":"%b"}\n' % (number, b"x" * 100) for number in numbers)


def rows(*numbers: int) -> Append:
    """Return the same rows for a sink."""
    return Append("ROWS", [{"record_id": f"p:{number}", "message": "x" * 100} for number in numbers])


def present(ledger: Ledger) -> set[int]:
    """Return what the ledger says of small numbers."""
    return {number for number in range(200) if number in ledger.present}


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    """Yield a new file, open for appending."""
    fd = os.open(tmp_path / "p.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        os.setxattr(fd, "user.superhero.test", b"")
    except OSError:
        os.close(fd)
        pytest.skip("the file system of the temporary folder takes no attributes")
    yield fd
    os.close(fd)


def append(ledger: Ledger, fd: int, *numbers: int, note: bool = True) -> None:
    """Append as the sink does; without a note, as a worker that is killed before it leaves one."""
    ledger.catch_up(fd)
    os.write(fd, lines(*numbers))
    ledger.appended(numbers, lines(*numbers))
    if note:
        ledger.leave_note(fd)


def never_read(self: Ledger, fd: int, size: int) -> bytes:
    """Stand in for the reading of lines."""
    raise AssertionError(f"{size} bytes are read")


def test_what_has_a_note_is_not_read(fd: int) -> None:
    mine, others = Ledger("p"), Ledger("p")
    append(mine, fd, 1, 2, 3)
    with mock.patch.object(Ledger, "_block", never_read):
        assert others.catch_up(fd), "the file is new to it, though it need not read it"
        assert present(others) == {1, 2, 3}
        append(others, fd, 5)
        assert not mine.catch_up(fd)
        assert present(mine) == {1, 2, 3, 5}


def test_what_was_read_for_want_of_a_note_gets_one(fd: int) -> None:
    append(Ledger("p"), fd, 1, 2, note=False)
    reader = Ledger("p")
    reader.catch_up(fd)
    reader.leave_note(fd)
    with mock.patch.object(Ledger, "_block", never_read):
        third = Ledger("p")
        third.catch_up(fd)
    assert present(third) == {1, 2}


def edit(fd: int, content: bytes) -> None:
    """Write over the beginning of the file, a moment later than whoever wrote before."""
    before = os.fstat(fd)
    path = Path(f"/proc/self/fd/{fd}")
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def test_a_note_is_not_believed_of_a_file_that_was_changed_since(fd: int) -> None:
    """Not even if it is as long as before: somebody put the record 7 in the place of the record 2."""
    append(Ledger("p"), fd, 1, 2, 3)
    edit(fd, lines(1, 7, 3))
    fresh = Ledger("p")
    fresh.catch_up(fd)
    assert present(fresh) == {1, 3, 7}


def test_what_a_worker_is_mistaken_about_it_does_not_hand_on(fd: int) -> None:
    """It knows a file by its end, and so does not see what was changed in the middle; a new one does."""
    living = Ledger("p")
    append(living, fd, 1, 2, 3, 4, 5, 6)
    edit(fd, lines(1, 7))
    append(living, fd, 8)
    fresh = Ledger("p")
    fresh.catch_up(fd)
    assert present(fresh) == {1, 3, 4, 5, 6, 7, 8}
    fresh.leave_note(fd)
    living.catch_up(fd)
    assert present(living) == {1, 3, 4, 5, 6, 7, 8}, "it learns better by the other's note"


@pytest.mark.parametrize(
    ("by_hand", "then"),
    [(lines(7), {1, 2, 3, 7}), (b'{"record_id":"p:7"', {1, 2, 3}), (lines(1) * 3, {1, 2, 3})],
)
def test_what_is_written_without_the_lock_gets_no_note(fd: int, by_hand: bytes, then: set[int]) -> None:
    ledger = Ledger("p")
    append(ledger, fd, 1, 2, 3, note=False)
    os.write(fd, by_hand)
    ledger.leave_note(fd)
    for reader in (ledger, Ledger("p")):
        reader.catch_up(fd)
        assert present(reader) == then
        assert os.pread(fd, 1 << 20, 0).endswith(b"\n")


def test_what_is_cut_off_without_the_lock_is_not_in_the_note(fd: int) -> None:
    ledger = Ledger("p")
    append(ledger, fd, 1, 2, 3)
    os.ftruncate(fd, 0)
    os.write(fd, lines(4))
    ledger.appended([4], lines(4))
    ledger.leave_note(fd)
    for reader in (ledger, Ledger("p")):
        reader.catch_up(fd)
        assert present(reader) == {4}


def test_a_file_known_by_a_note_is_known_by_its_end_as_any_other(fd: int) -> None:
    append(Ledger("p"), fd, 1, 2, 3)
    ledger = Ledger("p")
    ledger.catch_up(fd)
    assert not ledger.catch_up(fd)
    edit(fd, lines(1, 2, 9))
    assert ledger.catch_up(fd)
    assert present(ledger) == {1, 2, 9}


def test_what_was_cut_back_for_want_of_room_leaves_us_as_sure_as_before(fd: int) -> None:
    writer = Ledger("p")
    append(writer, fd, 1, 2, 3)
    os.write(fd, lines(4)[:30])
    writer.cut_back(fd)
    append(writer, fd, 4)
    with mock.patch.object(Ledger, "_block", never_read):
        other = Ledger("p")
        other.catch_up(fd)
    assert present(other) == {1, 2, 3, 4}


def test_sinks_leave_notes_for_each_other(tmp_path: Path, fd: int) -> None:
    first, second = JsonLinesSink(tmp_path), JsonLinesSink(tmp_path)
    with mock.patch.object(Ledger, "_block", never_read):
        for sink, numbers in ((first, (0, 1)), (second, (1, 2)), (first, (0, 2, 3))):
            sink.write([rows(*numbers)])
    assert (tmp_path / "superhero" / "ROWS" / "p.jsonl").read_bytes() == lines(0, 1, 2, 3)


def test_a_note_is_not_believed_of_another_producers_file(fd: int) -> None:
    append(Ledger("p"), fd, 1, 2, 3)
    other = Ledger("q")
    other.catch_up(fd)
    assert present(other) == set()


def garbled(note: bytes) -> list[bytes]:
    """Return what is no note, or says what cannot be."""
    fields = orjson.loads(note)
    wrong_runs: list[object] = [None, 7, [[1]], [[3, 1]], [[1, 4], [2, 9]], [["x", "y"]], [[1, 4], [4, 9]]]
    others: list[object] = [None, [], "text", {}, {**fields, "v": 2}, {**fields, "more": 2}]
    return [
        b"",
        note[:-1],
        *map(orjson.dumps, ({**fields, "runs": runs} for runs in wrong_runs)),
        *map(orjson.dumps, others),
    ]


def test_a_note_that_is_none_makes_no_difference(fd: int) -> None:
    append(Ledger("p"), fd, 1, 2, 3)
    for wrong in garbled(os.getxattr(fd, NAME)):
        os.setxattr(fd, NAME, wrong)
        fresh = Ledger("p")
        fresh.catch_up(fd)
        assert present(fresh) == {1, 2, 3}, wrong


def test_of_a_file_with_many_gaps_no_note_is_left(fd: int) -> None:
    with mock.patch("os.setxattr") as left:
        append(Ledger("p"), fd, *range(0, 1000, 2))
    left.assert_not_called()
    fresh = Ledger("p")
    fresh.catch_up(fd)
    assert present(fresh) == set(range(0, 200, 2))


@pytest.mark.parametrize("reason", [errno.ENOTSUP, errno.ENOSPC, errno.EPERM])
def test_a_sink_needs_no_notes(tmp_path: Path, reason: int) -> None:
    refused = OSError(reason, os.strerror(reason))
    first, second = JsonLinesSink(tmp_path), JsonLinesSink(tmp_path)
    with (
        mock.patch("os.setxattr", side_effect=refused) as left,
        mock.patch("os.getxattr", side_effect=refused) as looked,
    ):
        for sink, numbers in ((first, (0, 1)), (second, (1, 2)), (first, (0, 2, 3))):
            sink.write([rows(*numbers)])
    assert (tmp_path / "superhero" / "ROWS" / "p.jsonl").read_bytes() == lines(0, 1, 2, 3)
    assert left.called
    assert looked.called


DEEDS = st.tuples(
    st.sampled_from(["append", "append and die", "die amid a line", "start anew", "write by hand"]),
    st.integers(0, 2),
    st.sets(st.integers(0, 30), min_size=1),
)


@given(st.lists(DEEDS, max_size=12))
def test_whatever_workers_do_each_row_stands_in_the_file_once(
    tmp_path_factory: pytest.TempPathFactory, deeds: list[tuple[str, int, set[int]]]
) -> None:
    fd = os.open(tmp_path_factory.mktemp("file") / "p.jsonl", os.O_RDWR | os.O_CREAT | os.O_APPEND)
    ledgers, expected = [Ledger("p") for _ in range(3)], set[int]()
    try:
        for deed, who, numbers in deeds:
            ledger = ledgers[who]
            if deed != "append":
                ledgers[who] = Ledger("p")
            if deed == "start anew":
                continue
            ledger.catch_up(fd)
            assert present(ledger) == expected
            new = ledger.present.missing_of(sorted(numbers))
            os.write(fd, lines(*new) + (b'{"record_id":"p:9' if deed == "die amid a line" else b""))
            if deed.startswith("append"):
                ledger.appended(new, lines(*new))
            if deed == "append":
                ledger.leave_note(fd)
            expected.update(new)
        last = Ledger("p")
        last.catch_up(fd)
        assert present(last) == expected
        there = os.pread(fd, 1 << 20, 0).splitlines()
        assert sorted(there) == sorted(lines(*expected).splitlines())
    finally:
        os.close(fd)
