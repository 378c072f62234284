"""What only the buffer in memory does: it is bounded by records and by bytes."""

from __future__ import annotations

from superhero.transport.buffer import MemoryBuffer
from superhero.transport.leases import task_id


def envelope(number: int) -> bytes:
    return b'{"v":1,"id":"p:%d","channel":"a"}' % number


def test_a_full_buffer_refuses_the_newest() -> None:
    buffer = MemoryBuffer(2, 1000)
    assert [buffer.put(envelope(number)) for number in range(3)] == [True, True, False]
    assert len(buffer) == 2


def test_of_many_records_those_are_kept_that_there_is_room_for() -> None:
    buffer = MemoryBuffer(2, 1000)
    assert buffer.put_many([envelope(number) for number in range(3)]) == 2
    assert len(buffer) == 2


def test_a_buffer_is_full_by_bytes_too() -> None:
    buffer = MemoryBuffer(100, 2 * len(envelope(0)))
    assert [buffer.put(envelope(number)) for number in range(3)] == [True, True, False]
    assert buffer.size_bytes == 2 * len(envelope(0))


def test_leased_records_take_room_until_they_are_confirmed() -> None:
    buffer = MemoryBuffer(1, 1000)
    assert buffer.put(envelope(0))
    lease = buffer.lease(1, 1000)
    assert lease is not None and not buffer.put(envelope(1))
    buffer.confirm(lease)
    assert buffer.put(envelope(1))


def test_a_task_is_known_by_its_records_and_their_order() -> None:
    assert task_id([b"p:0", b"p:1"]) == task_id([b"p:0", b"p:1"])
    assert len({task_id([b"p:0", b"p:1"]), task_id([b"p:1", b"p:0"]), task_id([b"p:0"])}) == 3
