"""The spool on a real disk: what it keeps when its process dies, and what its limits and its keeper do."""

from __future__ import annotations

import errno
import logging
import resource
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import WaitUntil

from superhero.errors import SpoolError
from superhero.testing import ScriptedSender
from superhero.transport import CeleryHandler, spool_keeper
from superhero.transport.buffer import MemoryBuffer
from superhero.transport.segment import Segment
from superhero.transport.spool import Spool
from superhero.transport.spool_keeper import SpoolKeeper


def open_spool(folder: Path, *, max_bytes: int = 1 << 30, segment_bytes: int = 1 << 20) -> Spool:
    return Spool(folder, max_bytes, MemoryBuffer(1000, 1 << 20), segment_bytes=segment_bytes)


def put(spool: Spool, count: int, channel: str = "a", first: int = 0) -> None:
    for number in range(first, first + count):
        assert spool.put(envelope(number, channel))


def envelope(number: int, channel: str = "a", padding: str = "") -> bytes:
    return f'{{"v":1,"id":"p:{number}","channel":"{channel}","x":"{padding}é"}}'.encode()


def numbers(spool: Spool, *, confirm: bool = False) -> list[int]:
    """Lease all there is and return the numbers of its records."""
    found: list[int] = []
    while (lease := spool.lease(100, 1 << 20)) is not None:
        found += [int(each.split(b'"')[5].split(b":")[1]) for each in lease.encoded]
        if confirm:
            spool.confirm(lease)
    return found


def heir(dead: Spool, folder: Path) -> Spool:
    """Let a spool die as kill -9 would, and return another that took over what it left."""
    dead.abandon()
    living = open_spool(folder)
    living.adopt()
    return living


def test_a_segment_that_could_not_be_read_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    spool = open_spool(tmp_path)
    put(spool, 10)
    with monkeypatch.context() as broken:
        broken.setattr(Segment, "read", too_many_open_files)
        assert numbers(spool) == []
    assert wait_until(lambda: numbers(spool)) == list(range(10))


def test_a_record_that_was_read_late_counts_as_waiting_though_a_younger_one_is_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: WaitUntil
) -> None:
    spool = open_spool(tmp_path, segment_bytes=1)  # a segment for each record
    put(spool, 1)
    mark = spool.mark()
    put(spool, 1, first=1)
    read = Segment.read
    with monkeypatch.context() as broken:
        broken.setattr(Segment, "read", lambda self: read(self) if self.number else too_many_open_files(self))
        assert spool.oldest() == envelope(1)
    assert not spool.settled(mark)
    # Of a busy channel there are full leases only: there is one once both are read.
    both = wait_until(lambda: spool.lease(2, 1 << 20, busy={"a"}))
    assert both is not None and list(both.encoded) == [envelope(1), envelope(0)]
    assert not spool.settled(mark)
    spool.confirm(both)
    assert spool.settled(mark)
    spool.close()


def test_a_keeper_tells_of_what_can_be_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_keeper, "_LOOK_EVERY_S", 0.05)
    spool, told = open_spool(tmp_path), threading.Event()
    put(spool, 1)
    with monkeypatch.context() as broken:
        broken.setattr(Segment, "read", too_many_open_files)
        assert numbers(spool) == []
    keeper = SpoolKeeper(spool, 0.01, told.set)
    keeper.start()
    assert told.wait(5)
    keeper.stop(5)
    spool.close()


def test_a_folder_that_could_not_be_looked_through_is_adopted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = open_spool(tmp_path)
    put(dead, 10)
    dead.abandon()
    living = open_spool(tmp_path)
    with monkeypatch.context() as broken:
        broken.setattr(Segment, "read", too_many_open_files)
        assert living.adopt() == 0
    trouble = living.take_trouble()
    assert trouble is not None and "cannot be looked through: [Errno" in str(trouble)
    assert living.adopt() == 10
    living.close()


def too_many_open_files(segment: Segment) -> tuple[list[tuple[int, bytes]], int]:
    raise OSError(errno.EMFILE, "too many open files")


def test_what_was_adopted_counts_against_the_limit_until_it_is_confirmed(tmp_path: Path) -> None:
    dead = open_spool(tmp_path)
    for number in range(100):
        dead.put(envelope(number, padding="x" * 1000))
    dead.abandon()
    living = open_spool(tmp_path, max_bytes=50_000)
    assert living.adopt() == 100
    assert not living.put(envelope(0)), "with that much waiting there is no room"
    assert len(numbers(living, confirm=True)) == 100
    assert living.put(envelope(1))
    living.close()


def test_processes_that_are_killed_one_after_the_other_keep_to_the_limit_of_one(tmp_path: Path) -> None:
    for _ in range(4):
        doomed = open_spool(tmp_path, max_bytes=50_000)
        doomed.adopt()
        while doomed.put(envelope(0, padding="x" * 1000)):
            pass
        doomed.abandon()
    assert 40_000 < sum(path.stat().st_size for path in files(tmp_path, ".log")) <= 50_000


def test_a_spool_that_is_smaller_than_a_segment_takes_records_again_once_others_are_confirmed(
    tmp_path: Path,
) -> None:
    spool = open_spool(tmp_path, max_bytes=50_000, segment_bytes=1 << 20)
    while spool.put(envelope(0, padding="x" * 1000)):
        pass
    assert len(numbers(spool, confirm=True)) > 30
    put(spool, 30)
    spool.close()


def files(folder: Path, suffix: str = "") -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.endswith(suffix))


def test_what_a_dead_process_left_the_next_one_sends(tmp_path: Path) -> None:
    dead = open_spool(tmp_path)
    put(dead, 250)
    living = heir(dead, tmp_path)
    put(living, 1, first=1000)
    assert (living.adopted, len(living)) == (250, 251)
    assert numbers(living, confirm=True) == [*range(250), 1000]
    living.close()
    assert files(tmp_path) == []


def test_what_was_confirmed_is_not_sent_again_after_a_death(tmp_path: Path) -> None:
    dead = open_spool(tmp_path)
    put(dead, 100, "a")
    put(dead, 100, "b", first=100)
    lease = dead.lease(70, 1 << 20)
    other = dead.lease(70, 1 << 20)
    assert lease is not None and other is not None
    dead.confirm(other)
    living = heir(dead, tmp_path)
    confirmed = {int(each.split(b'"')[5].split(b":")[1]) for each in other.encoded}
    assert sorted(numbers(living)) == sorted(set(range(200)) - confirmed)
    assert living.adopted == 170
    living.close()


def test_what_the_heir_leaves_goes_to_the_next_heir(tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    put(first, 100)
    second = heir(first, tmp_path)
    lease = second.lease(30, 1 << 20)
    assert lease is not None
    second.confirm(lease)
    third = heir(second, tmp_path)
    assert numbers(third, confirm=True) == list(range(30, 100))
    third.close()
    assert files(tmp_path) == []


def test_the_folder_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    one, two = open_spool(tmp_path), open_spool(tmp_path)
    put(one, 10)
    assert two.adopt() == 0
    assert len(one) == 10
    one.close()
    assert two.adopt() == 10
    two.close()


def test_several_heirs_share_out_what_is_left(tmp_path: Path) -> None:
    for first in (0, 100, 200):
        dead = open_spool(tmp_path)
        put(dead, 100, first=first)
        dead.abandon()
    heirs = [open_spool(tmp_path) for _ in range(4)]
    threads = [threading.Thread(target=each.adopt) for each in heirs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for each in heirs for number in numbers(each)) == list(range(300))
    for each in heirs:
        each.close()


def test_a_file_goes_once_all_in_it_is_confirmed(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, segment_bytes=2000)
    put(spool, 1000)
    assert len(files(tmp_path, ".log")) > 10
    assert numbers(spool, confirm=True) == list(range(1000))
    assert len(files(tmp_path, ".log")) <= 1
    put(spool, 10)
    assert len(numbers(spool, confirm=True)) == 10
    spool.close()
    assert files(tmp_path) == []


def test_the_newest_is_refused_at_the_limit_until_something_is_confirmed(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, max_bytes=5000, segment_bytes=500)
    kept = 0
    while spool.put(envelope(kept)):
        kept += 1
    assert 50 < kept < 120
    assert not spool.put(envelope(1000))
    assert numbers(spool, confirm=True) == list(range(kept))
    assert spool.put(envelope(1001))
    spool.close()


def test_only_the_owner_may_look_into_a_spool(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "new" / "spool")
    put(spool, 1)
    (log,) = files(tmp_path, ".log")
    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "new" / "spool", log.parent, log)]
    assert modes == [0o700, 0o700, 0o600]
    spool.close()


def test_a_directory_that_cannot_be_made_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SpoolError, match=r"spool directory .*/file/spool cannot be made: Not a directory"):
        CeleryHandler(broker_url="amqp://", spool_dir=tmp_path / "file" / "spool")


@contextmanager
def small_disk() -> Iterator[None]:
    """Let no file grow beyond 20,000 bytes, which the kernel reports much like a full disk.

    It holds for the whole process, so for the log pytest's report goes to as well: never let it last beyond
    a test's own lines.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_a_full_disk_refuses_waits_in_memory_and_is_told(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    with small_disk():
        put(spool, 1000)
    assert 0 < spool.spooled < 1000
    assert len(spool) == 1000
    trouble = spool.take_trouble()
    assert trouble is not None and "cannot be written: [Errno" in str(trouble)
    assert not spool.sync()
    assert sorted(numbers(spool, confirm=True)) == list(range(1000))
    assert spool.corrupt == 0
    spool.close()


def test_a_record_finds_room_though_dead_processes_are_taken_over_meanwhile(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    make_room, less = spool._shelf.make_room, [0, 0]

    def made(size: int) -> Segment | None:
        head = make_room(size)
        if less and head is not None:
            head.limit = less.pop()
        return head

    spool._shelf.make_room = made  # type: ignore[method-assign]  # as `adopt` does in another thread
    put(spool, 3)
    assert (len(spool), less) == (3, [])
    spool.close()


def test_memory_stays_flat_however_much_waits(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    padding = "x" * 1000
    tracemalloc.start()
    try:
        for number in range(20_000):
            assert spool.put(envelope(number, padding=padding))
        seen = 0
        while (lease := spool.lease(500, 256 * 1024)) is not None:
            seen += len(lease.encoded)
            spool.confirm(lease)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == 20_000
    assert peak < 8_000_000  # of 21 MB that waited
    spool.close()


def test_a_channel_that_rests_does_not_hold_up_the_others(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    put(spool, 5000, "resting")
    put(spool, 10, "other", first=5000)
    lease = spool.lease(100, 1 << 20, resting={"resting"})
    assert lease is not None and lease.channel == "other"
    spool.close()


def test_a_keeper_takes_over_what_is_left_and_tells(tmp_path: Path) -> None:
    dead = open_spool(tmp_path)
    put(dead, 5)
    dead.abandon()
    living, told = open_spool(tmp_path), threading.Event()
    keeper = SpoolKeeper(living, 0.01, told.set)
    keeper.start()
    assert told.wait(5)
    keeper.stop(5)
    assert len(living) == 5
    living.close()


def test_a_keeper_syncs_what_waits(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    synced = threading.Event()
    sync = spool.sync
    spool.sync = lambda: (synced.set(), sync())[1]  # type: ignore[method-assign]  # to see the call
    keeper = SpoolKeeper(spool, 0.01, lambda: None)
    keeper.start()
    put(spool, 1)
    keeper.wake()
    assert synced.wait(5)
    keeper.stop(5)
    spool.close()


def test_a_keeper_that_is_rung_for_more_syncs_no_sooner(tmp_path: Path, wait_until: WaitUntil) -> None:
    spool = open_spool(tmp_path)
    put(spool, 1)
    synced = threading.Event()
    spool.sync = lambda: (synced.set(), True)[1]  # type: ignore[method-assign]  # to see the call
    keeper = SpoolKeeper(spool, 60.0, lambda: None)
    keeper.start()
    for _ in range(3):  # what it does after a ring it has done by the time it hears the next one
        keeper._bell.ring()
        wait_until(keeper._bell._silent.locked)
    assert not synced.is_set()
    keeper.stop(5)
    spool.close()


def test_a_handler_sends_what_an_earlier_one_could_not(tmp_path: Path) -> None:
    def handle(sender: ScriptedSender, *texts: str) -> CeleryHandler:
        handler = CeleryHandler(sender=lambda: sender, spool_dir=tmp_path, flush_timeout_s=2.0)
        handler.start()
        for text in texts:
            handler.handle(logging.makeLogRecord({"name": "app", "msg": text}))
        return handler

    away = handle(ScriptedSender(opening=["transient"] * 999), "one", "two")
    assert away.counters().spooled == 2
    assert away.safe(0.0)
    away.close()
    sender = ScriptedSender()
    back = handle(sender, "three")
    assert back.flush(5)
    back.close()
    assert back.counters().adopted == 2
    texts = [each for lease in sender.arrived for each in lease.encoded]
    assert sorted(each.split(b'"message":"')[1].split(b'"')[0] for each in texts) == [
        b"one",
        b"three",
        b"two",
    ]
    assert files(tmp_path) == []


def test_a_damaged_journal_sends_again_and_loses_nothing(tmp_path: Path) -> None:
    dead = open_spool(tmp_path)
    put(dead, 30)
    for _ in range(3):
        lease = dead.lease(10, 1 << 20)
        assert lease is not None
        dead.confirm(lease)
    (journal,) = files(tmp_path, ".done")
    content = bytearray(journal.read_bytes())
    content[len(content) // 2] ^= 255
    journal.write_bytes(content)
    living = heir(dead, tmp_path)
    assert numbers(living) == list(range(10, 30))
    living.close()
