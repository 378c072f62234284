"""What every buffer promises, held against each."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from superhero.transport.buffer import Buffer, MemoryBuffer
from superhero.transport.spool import Spool

Open = Callable[[], Buffer]


def _memory(folder: Path) -> Buffer:
    return MemoryBuffer(100_000, 10_000_000)


def _spool(folder: Path) -> Buffer:
    return Spool(folder / "spool", 100_000_000, MemoryBuffer(10, 10_000))


def _spool_of_small_segments(folder: Path) -> Buffer:
    return Spool(folder / "spool", 100_000_000, MemoryBuffer(10, 10_000), segment_bytes=1000)


def _spool_on_a_refusing_disk(folder: Path) -> Buffer:
    spool = Spool(folder / "spool", 100_000_000, MemoryBuffer(100_000, 10_000_000))
    shutil.rmtree(folder / "spool")
    (folder / "spool").touch()
    return spool


@pytest.fixture(
    params=[_memory, _spool, _spool_of_small_segments, _spool_on_a_refusing_disk],
    ids=["memory", "spool", "small-segments", "refusing-disk"],
)
def buffer(request: pytest.FixtureRequest, tmp_path: Path) -> Buffer:
    opened: Buffer = request.param(tmp_path)
    request.addfinalizer(opened.close)
    return opened


def put(buffer: Buffer, count: int, channel: str = "a", first: int = 0) -> None:
    for number in range(first, first + count):
        with buffer.put_lock:
            assert buffer.put(envelope(channel, number))


def envelope(channel: str, number: int) -> bytes:
    return b'{"v":1,"id":"p-%b:%d","channel":"%b","n":"\xc3\xa9"}' % (
        channel.encode(),
        number,
        channel.encode(),
    )


def lease_ids(buffer: Buffer, max_records: int = 1000) -> list[str]:
    lease = buffer.lease(max_records, 1 << 20)
    assert lease is not None
    return [record.split(b'"')[5].decode() for record in lease.encoded]


def test_records_come_out_as_they_went_in(buffer: Buffer) -> None:
    put(buffer, 3)
    lease = buffer.lease(10, 1 << 20)
    assert lease is not None
    assert list(lease.encoded) == [envelope("a", number) for number in range(3)]
    assert (lease.channel, lease.first_id) == ("a", "p-a:0")


def test_many_records_are_put_as_one_by_one(buffer: Buffer) -> None:
    put(buffer, 1)
    with buffer.put_lock:
        for first in (1, 4, 40):
            count = 36 if first == 4 else 3
            assert buffer.put_many([envelope("a", first + number) for number in range(count)]) == count
    put(buffer, 1, first=43)
    assert lease_ids(buffer) == [f"p-a:{number}" for number in range(44)]
    assert len(buffer) == 44


def test_an_empty_buffer_leases_nothing(buffer: Buffer) -> None:
    assert buffer.lease(10, 1 << 20) is None
    assert (len(buffer), buffer.size_bytes, buffer.oldest()) == (0, 0, None)


def test_a_lease_is_of_one_channel_the_one_that_waits_longest(buffer: Buffer) -> None:
    put(buffer, 1, "a")
    put(buffer, 2, "b")
    put(buffer, 1, "a", first=1)
    assert lease_ids(buffer) == ["p-a:0", "p-a:1"]
    assert lease_ids(buffer) == ["p-b:0", "p-b:1"]


def test_a_lease_holds_at_most_what_was_asked_for(buffer: Buffer) -> None:
    put(buffer, 5)
    assert lease_ids(buffer, 2) == ["p-a:0", "p-a:1"]
    small = buffer.lease(10, len(envelope("a", 0)) + 1)
    assert small is not None and len(small.encoded) == 1


def test_a_record_larger_than_the_limit_goes_alone(buffer: Buffer) -> None:
    put(buffer, 2)
    lease = buffer.lease(10, 1)
    assert lease is not None and len(lease.encoded) == 1


def test_what_was_leased_does_not_come_out_twice(buffer: Buffer) -> None:
    put(buffer, 2)
    lease_ids(buffer)
    assert buffer.lease(10, 1 << 20) is None
    assert len(buffer) == 2


def test_only_what_was_confirmed_is_forgotten(buffer: Buffer) -> None:
    put(buffer, 4)
    first, second = buffer.lease(2, 1 << 20), buffer.lease(2, 1 << 20)
    assert first is not None and second is not None
    buffer.confirm(second)
    assert len(buffer) == 2
    buffer.release(first)
    assert lease_ids(buffer) == ["p-a:0", "p-a:1"]


def test_what_was_released_comes_out_before_younger_records_as_the_same_task(buffer: Buffer) -> None:
    put(buffer, 4)
    first, second = buffer.lease(1, 1 << 20), buffer.lease(1, 1 << 20)
    assert first is not None and second is not None
    buffer.release(second)
    buffer.release(first)
    again = [buffer.lease(1000, 1 << 20) for _ in range(3)]
    assert [lease and lease.task_id for lease in again[:2]] == [first.task_id, second.task_id]
    assert again[2] is not None and again[2].first_id == "p-a:2"


def test_a_lease_confirmed_twice_counts_once(buffer: Buffer) -> None:
    put(buffer, 2)
    lease = buffer.lease(1, 1 << 20)
    assert lease is not None
    buffer.confirm(lease)
    buffer.confirm(lease)
    buffer.release(lease)
    assert len(buffer) == 1
    assert lease_ids(buffer) == ["p-a:1"]


def test_a_resting_channel_gives_nothing_not_even_what_was_released(buffer: Buffer) -> None:
    put(buffer, 2, "a")
    put(buffer, 1, "b")
    lease = buffer.lease(1, 1 << 20)
    assert lease is not None
    buffer.release(lease)
    other = buffer.lease(1, 1 << 20, resting={"a"})
    assert other is not None and other.channel == "b"
    assert buffer.lease(1, 1 << 20, resting={"a", "b"}) is None


def test_a_busy_channel_gives_only_full_leases(buffer: Buffer) -> None:
    put(buffer, 3)
    assert buffer.lease(4, 1 << 20, busy={"a"}) is None
    full = buffer.lease(3, 1 << 20, busy={"a"})
    assert full is not None and len(full.encoded) == 3


def test_a_mark_is_settled_once_everything_before_it_is_confirmed(buffer: Buffer) -> None:
    put(buffer, 1)
    mark = buffer.mark()
    put(buffer, 1, first=1)
    old = buffer.lease(1, 1 << 20)
    assert old is not None and not buffer.settled(mark)
    buffer.release(old)
    assert not buffer.settled(mark)
    again = buffer.lease(1, 1 << 20)
    assert again is not None
    buffer.confirm(again)
    assert buffer.settled(mark) and not buffer.settled(buffer.mark())


def test_the_oldest_record_is_known_whether_leased_or_not(buffer: Buffer) -> None:
    put(buffer, 1, "a")
    put(buffer, 1, "b")
    assert buffer.oldest() == envelope("a", 0)
    lease = buffer.lease(1, 1 << 20)
    assert lease is not None and buffer.oldest() == envelope("a", 0)
    buffer.confirm(lease)
    assert buffer.oldest() == envelope("b", 0)


def test_size_counts_leased_records_too(buffer: Buffer) -> None:
    assert buffer.size_bytes == 0
    put(buffer, 2)
    full = buffer.size_bytes
    assert full >= 2 * len(envelope("a", 0))
    lease = buffer.lease(1, 1 << 20)
    assert lease is not None and buffer.size_bytes == full
    buffer.confirm(lease)
    assert 0 < buffer.size_bytes < full


def test_many_threads_put_and_one_takes_without_loss(buffer: Buffer) -> None:
    def work(name: str) -> None:
        put(buffer, 500, name)

    threads = [threading.Thread(target=work, args=(f"c{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    while len(seen) < 3000:
        lease = buffer.lease(50, 1 << 20)
        if lease is not None:
            seen += [record.split(b'"')[5].decode() for record in lease.encoded]
            buffer.confirm(lease)
    for thread in threads:
        thread.join()
    assert sorted(seen) == sorted(f"p-c{n}:{number}" for n in range(6) for number in range(500))
    assert len(buffer) == 0
    for n in range(6):
        own = [each for each in seen if each.startswith(f"p-c{n}:")]
        assert own == [f"p-c{n}:{number}" for number in range(500)]
