"""What `flush` and `close` mean in a process that has taken over records, or whose broker is away."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from arrivals import ids
from patience import WaitUntil

from superhero.errors import BrokerUnavailable
from superhero.testing import ScriptedSender
from superhero.transport import CeleryHandler
from superhero.transport.amqp_sender import AmqpSender
from superhero.transport.buffer import MemoryBuffer
from superhero.transport.leases import Lease
from superhero.transport.spool import Spool

CHANNEL = "app.orders"


@pytest.fixture(params=[pytest.param("rabbitmq", marks=pytest.mark.rabbitmq), "redis"])
def any_broker_url(request: pytest.FixtureRequest) -> str:
    name = "broker_url" if request.param == "rabbitmq" else "redis_broker_url"
    url: str = request.getfixturevalue(name)
    return url


def open_spool(folder: Path) -> Spool:
    return Spool(folder, 1 << 30, MemoryBuffer(1000, 1 << 20))


def put(spool: Spool, producer: str, count: int, channel: str = CHANNEL) -> None:
    for number in range(count):
        record_id = f"{producer}:{number}"
        encoded = b'{"v":1,"id":"%b","channel":"%b","time":"2024-01-01T00:00:00+00:00"}'
        assert spool.put(encoded % (record_id.encode(), channel.encode()))


def leave_behind(folder: Path, count: int) -> None:
    """Leave records in a spool as a process that is killed does."""
    dead = open_spool(folder)
    put(dead, "dead", count)
    dead.abandon()


def lease(spool: Spool, max_records: int = 1000) -> Lease:
    found = spool.lease(max_records, 1 << 20)
    assert found is not None
    return found


def log(handler: CeleryHandler, text: str = "own") -> None:
    handler.handle(logging.makeLogRecord({"name": CHANNEL, "msg": text}))


def has_own(sender: ScriptedSender) -> bool:
    return any(b'"message":"own"' in each for batch in sender.arrived for each in batch.encoded)


def test_our_own_record_behind_adopted_ones_is_not_settled_before_it_is_confirmed(tmp_path: Path) -> None:
    leave_behind(tmp_path, 25)
    spool = open_spool(tmp_path)
    spool.adopt()
    put(spool, "own", 1)
    mark = spool.mark()
    adopted, mixed = lease(spool, 20), lease(spool, 20)
    assert [each.split(b'"')[5] for each in mixed.encoded][-2:] == [b"dead:24", b"own:0"]
    assert not spool.settled(mark)
    spool.confirm(adopted)
    assert not spool.settled(mark)
    spool.release(mixed)
    assert not spool.settled(mark)
    spool.confirm(lease(spool))
    assert spool.settled(mark)
    spool.close()


def test_our_own_records_before_adopted_ones_and_behind_them_are_settled_in_their_turn(
    tmp_path: Path,
) -> None:
    spool = open_spool(tmp_path)
    put(spool, "first", 2)
    first = lease(spool, 1)
    leave_behind(tmp_path, 5)
    spool.adopt()
    early = spool.mark()
    put(spool, "second", 1)
    late = spool.mark()
    spool.confirm(first)
    assert not spool.settled(early)
    second = lease(spool, 1)
    spool.confirm(second)
    assert spool.settled(early) and not spool.settled(late)
    while (batch := spool.lease(2, 1 << 20)) is not None:
        assert not spool.settled(late)
        spool.confirm(batch)
    assert spool.settled(late)
    spool.close()


def test_adopted_records_are_not_counted_as_our_own(tmp_path: Path) -> None:
    leave_behind(tmp_path, 5)
    spool = open_spool(tmp_path)
    spool.adopt()
    put(spool, "own", 1, "app.other")
    mark = spool.mark()
    adopted, own = lease(spool), lease(spool)
    assert (adopted.channel, own.channel) == (CHANNEL, "app.other")
    spool.confirm(own)
    assert spool.settled(mark) and len(spool) == 5
    spool.close()


def test_flush_waits_for_our_own_record_whatever_was_adopted(tmp_path: Path, wait_until: WaitUntil) -> None:
    leave_behind(tmp_path, 3000)
    sender = ScriptedSender("mute", "mute")
    handler = CeleryHandler(
        sender=lambda: sender, spool_dir=tmp_path, batch_records=10, window=2, confirm_timeout_s=0.3
    )
    log(handler)
    wait_until(lambda: handler.counters().adopted == 3000)
    assert handler.flush(20)
    assert has_own(sender)
    handler.close()


def test_close_waits_for_adopted_records_too(tmp_path: Path, wait_until: WaitUntil) -> None:
    leave_behind(tmp_path, 3000)
    sender = ScriptedSender()
    handler = CeleryHandler(
        sender=lambda: sender, spool_dir=tmp_path, batch_records=10, window=2, flush_timeout_s=20.0
    )
    log(handler)
    wait_until(lambda: handler.counters().adopted == 3000)
    handler.close()
    assert has_own(sender)
    assert sum(len(batch.encoded) for batch in sender.arrived) == 3001
    assert list(tmp_path.iterdir()) == []


def test_close_waits_briefly_when_the_broker_is_away_and_all_is_spooled(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    leave_behind(tmp_path, 100)
    sender = ScriptedSender(opening=["transient"] * 999)
    handler = CeleryHandler(sender=lambda: sender, spool_dir=tmp_path, flush_timeout_s=20.0)
    log(handler)
    wait_until(lambda: handler.counters().adopted == 100)
    began = time.monotonic()
    handler.close()
    assert 0.9 < time.monotonic() - began < 5.0
    left = open_spool(tmp_path)
    assert left.adopt() == 101
    left.close()


def test_a_program_that_ends_while_the_broker_is_away_leaves_its_records_in_the_spool_and_does_not_wait(
    tmp_path: Path,
) -> None:
    program = (
        "import logging, sys\n"
        "from superhero.transport import CeleryHandler\n"
        "log = logging.getLogger('app')\n"
        "log.addHandler(CeleryHandler(\n"
        "    broker_url='amqp://127.0.0.1:1//', spool_dir=sys.argv[1], flush_timeout_s=600.0))\n"
        "for number in range(100): log.error('%d', number)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=60)
    left = open_spool(tmp_path)
    assert left.adopt() == 100
    left.close()


def test_an_end_that_flushed_before_does_not_take_twice_its_time_for_adopted_records(
    tmp_path: Path, wait_until: WaitUntil
) -> None:
    leave_behind(tmp_path, 10)
    sender = ScriptedSender("mute", "ok", *["mute"] * 99)
    handler = CeleryHandler(
        sender=lambda: sender, spool_dir=tmp_path, flush_timeout_s=2.0, confirm_timeout_s=1.0, batch_records=1
    )
    handler.start()
    wait_until(lambda: handler.counters().in_flight == 1)
    handler.handle(logging.makeLogRecord({"name": "app.other", "msg": "own"}))
    began = time.monotonic()
    handler.flush()
    handler.close()
    assert time.monotonic() - began < 3.5
    assert handler.counters().waiting > 0


def test_a_process_that_takes_over_much_delivers_its_own_record_before_flush_returns(
    tmp_path: Path, any_broker_url: str, wait_until: WaitUntil
) -> None:
    leave_behind(tmp_path, 20_000)
    handler = CeleryHandler(broker_url=any_broker_url, spool_dir=tmp_path, flush_timeout_s=20.0)
    log(handler)
    wait_until(lambda: handler.counters().adopted == 20_000)
    assert handler.flush(20)
    arrived = ids(any_broker_url, CHANNEL)
    assert any(not each.startswith("dead:") for each in arrived)
    handler.close()
    arrived += ids(any_broker_url, CHANNEL)
    assert len(set(arrived)) == 20_001
    assert list(tmp_path.iterdir()) == []


def test_at_the_end_a_broker_that_is_back_is_tried_once_more(
    tmp_path: Path, wait_until: WaitUntil, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After six failures the next attempt would come later than the end waits."""
    tries: list[None] = []

    class Back(ScriptedSender):
        def open(self) -> None:
            tries.append(None)
            super().open()

    handler = CeleryHandler(
        sender=lambda: Back(opening=["transient"] * 6), spool_dir=tmp_path, flush_timeout_s=20.0
    )
    log(handler)
    wait_until(lambda: len(tries) == 6)
    exiting = threading.Event()
    exiting.set()
    monkeypatch.setattr("superhero.transport.handler._exiting", exiting)
    assert handler.flush()
    handler.close()


def test_an_attempt_to_connect_that_fails_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long to wait until the next one is the publisher's to say."""
    asleep: list[float] = []
    monkeypatch.setattr("kombu.utils.functional.sleep", asleep.append)
    with pytest.raises(BrokerUnavailable, match="cannot connect"):
        AmqpSender("amqp://127.0.0.1:1//").open()
    assert sum(asleep) == 0
