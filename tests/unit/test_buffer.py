"""What only the buffer in memory does: it is bounded by records and by bytes."""

from __future__ import annotations

from superhero.transport.buffer import MemoryBuffer
from superhero.transport.leases import task_id


def test_a_full_buffer_refuses_the_newest() -> None:
    buffer = MemoryBuffer(2, 1000)
    assert [buffer.put("a", f"p:{number}", b"x") for number in range(3)] == [True, True, False]
    assert len(buffer) == 2


def test_a_buffer_is_full_by_bytes_too() -> None:
    buffer = MemoryBuffer(100, 10)
    assert [buffer.put("a", f"p:{number}", b"12345") for number in range(3)] == [True, True, False]
    assert buffer.size_bytes == 10


def test_leased_records_take_room_until_they_are_confirmed() -> None:
    buffer = MemoryBuffer(1, 1000)
    assert buffer.put("a", "p:0", b"x")
    lease = buffer.lease(1, 1000)
    assert lease is not None and not buffer.put("a", "p:1", b"x")
    buffer.confirm(lease)
    assert buffer.put("a", "p:1", b"x")


def test_a_task_is_known_by_its_records_and_their_order() -> None:
    assert task_id(["p:0", "p:1"]) == task_id(["p:0", "p:1"])
    assert len({task_id(["p:0", "p:1"]), task_id(["p:1", "p:0"]), task_id(["p:0"])}) == 3
