"""The publisher's loop against a broker played by a script, without a thread."""

from __future__ import annotations

import threading

import pytest

from superhero.testing import ScriptedSender
from superhero.transport.buffer import MemoryBuffer
from superhero.transport.flight import Limits
from superhero.transport.publisher import Publisher

CHANNEL = "app.orders"


class Bench:
    """A buffer, a publisher and a script; `publish` runs the loop in the calling thread."""

    def __init__(self, sender: ScriptedSender, limits: Limits | None = None) -> None:
        self.sender = sender
        self.buffer = MemoryBuffer(10_000, 10_000_000)
        self.publisher = Publisher(self.buffer, sender, limits or Limits())

    def put(self, count: int, channel: str = CHANNEL, first: int = 0) -> None:
        for number in range(first, first + count):
            assert self.buffer.put(envelope(channel, number))

    def publish(self, timeout_s: float = 5.0) -> bool:
        mark = self.buffer.mark()
        return self.publisher.wait(lambda: self.buffer.settled(mark), timeout_s)

    def arrived(self, channel: str = CHANNEL) -> list[int]:
        return [
            int(each.split(b'"')[5].rpartition(b":")[2])
            for lease in self.sender.arrived
            if lease.channel == channel
            for each in lease.encoded
        ]


def envelope(channel: str, number: int) -> bytes:
    return f'{{"v":1,"id":"p-{channel}:{number}","channel":"{channel}"}}'.encode()


def test_what_waits_goes_out_as_one_task_and_is_forgotten_once_confirmed() -> None:
    bench = Bench(ScriptedSender("ok"))
    bench.put(100)
    assert bench.publish()
    assert [len(lease.encoded) for lease in bench.sender.arrived] == [100]
    assert (len(bench.buffer), bench.publisher.tally.confirmed) == (0, 100)


def test_a_batch_holds_no_more_records_than_the_limit() -> None:
    bench = Bench(ScriptedSender(), Limits(batch_records=30))
    bench.put(100)
    assert bench.publish()
    assert [len(lease.encoded) for lease in bench.sender.arrived] == [30, 30, 30, 10]
    assert bench.arrived() == list(range(100))


def test_a_batch_of_one_channel_never_holds_records_of_another() -> None:
    bench = Bench(ScriptedSender())
    bench.put(3, "a")
    bench.put(3, "b")
    assert bench.publish()
    assert sorted(lease.channel for lease in bench.sender.arrived) == ["a", "b"]


@pytest.mark.parametrize("fault", ["transient", "nack", "lost", "mismatch"])
def test_a_lease_that_failed_is_sent_again_as_the_same_task(fault: str) -> None:
    bench = Bench(ScriptedSender(fault, "ok"))
    bench.put(5)
    assert bench.publish()
    first, second = bench.sender.tried
    assert (first.task_id, list(first.encoded)) == (second.task_id, list(second.encoded))
    assert len(bench.buffer) == 0


def test_a_broker_that_is_away_is_tried_until_it_is_there() -> None:
    bench = Bench(ScriptedSender(opening=["transient", "transient", "mismatch"]))
    bench.put(5)
    assert bench.publish()
    assert (bench.sender.opened, bench.arrived()) == (4, [0, 1, 2, 3, 4])


def test_records_that_came_later_go_out_after_those_that_failed() -> None:
    bench = Bench(ScriptedSender("transient"), Limits(batch_records=2))
    bench.put(5)
    assert bench.publish()
    assert bench.arrived() == [0, 1, 2, 3, 4]


def test_a_channel_whose_queue_stands_otherwise_does_not_hold_up_the_others() -> None:
    bench = Bench(ScriptedSender("mismatch", "ok", "ok"))
    bench.put(1, "bad")
    bench.put(1, "good")
    assert bench.publish()
    assert [lease.channel for lease in bench.sender.tried] == ["bad", "good", "bad"]
    assert (bench.sender.opened, bench.publisher.tally.refused) == (1, 1)


def test_without_a_confirm_in_time_the_lease_goes_out_on_a_new_connection() -> None:
    bench = Bench(ScriptedSender("mute", "ok"), Limits(confirm_timeout_s=0.01))
    bench.put(1)
    assert bench.publish()
    assert bench.sender.opened == 2
    assert bench.sender.arrived[0].task_id == bench.sender.arrived[1].task_id


def test_a_channel_without_confirms_does_not_hold_up_the_others() -> None:
    bench = Bench(ScriptedSender("mute"), Limits(batch_records=1, window=4, stuck_s=0.02))
    bench.put(6, "stuck")
    bench.put(6, "fine")
    assert not bench.publish(timeout_s=0.4)
    assert (len(bench.arrived("stuck")), bench.arrived("fine")) == (1, list(range(6)))
    assert bench.sender.opened == 1


def test_a_late_confirm_is_waited_for_while_others_come() -> None:
    bench = Bench(ScriptedSender("mute"), Limits(confirm_timeout_s=0.25, stuck_s=0.01))
    bench.put(1, "late")
    bench.put(1, "fine")
    assert not bench.publish(timeout_s=0.6)
    assert (bench.sender.opened, bench.arrived("late")) == (1, [0])


def test_a_blocked_broker_is_sent_nothing_and_is_not_given_up() -> None:
    sender = ScriptedSender("block", "ok")
    bench = Bench(sender, Limits(batch_records=1, confirm_timeout_s=0.01))
    bench.put(2)
    release = threading.Timer(0.1, sender.unblock)
    release.start()
    assert bench.publish()
    release.join()
    assert (sender.opened, bench.arrived()) == (1, [0, 1])


def test_a_new_connection_begins_with_one_task_in_flight() -> None:
    bench = Bench(ScriptedSender("mute", "mute"), Limits(batch_records=1, window=8))
    bench.put(8)
    assert not bench.publish(timeout_s=0.1)
    assert bench.arrived() == [0]


def test_while_a_small_batch_is_on_its_way_only_full_ones_join_it() -> None:
    bench = Bench(ScriptedSender("ok", "mute"), Limits(batch_records=10, window=8))
    bench.put(1)
    assert bench.publish()
    bench.put(13, first=1)
    assert not bench.publish(timeout_s=0.1)
    assert [len(lease.encoded) for lease in bench.sender.arrived] == [1, 10]


def test_who_waits_for_the_last_record_is_not_kept_waiting_for_more_to_gather() -> None:
    bench = Bench(ScriptedSender(), Limits(linger_s=1000.0))
    for number in range(3):
        bench.put(1, first=number)
        assert bench.publish()


def test_who_waits_hurries_the_thread_that_publishes_too() -> None:
    bench = Bench(ScriptedSender(), Limits(linger_s=1000.0))
    bench.publisher.start()
    try:
        for number in range(3):
            bench.put(1, first=number)
            assert bench.publish()
    finally:
        bench.publisher.stop(5.0)


def test_who_waits_again_and_again_does_not_hurry_the_next_try_of_a_broker_that_is_away() -> None:
    sender = ScriptedSender(opening=["transient"] * 1000)
    bench = Bench(sender)
    bench.put(1)
    bench.publisher.start()
    try:
        for _ in range(200):
            assert not bench.publish(timeout_s=0.001)
    finally:
        bench.publisher.stop(5.0)
    assert sender.opened <= 10


@pytest.mark.parametrize("threaded", [False, True])
def test_nobody_waits_for_a_publisher_that_was_stopped(threaded: bool) -> None:
    bench = Bench(ScriptedSender(opening=["transient"] * 1000))
    bench.put(1)
    if threaded:
        bench.publisher.start()
    bench.publisher.stop(5.0)
    assert not bench.publish(timeout_s=1000.0)


def test_time_that_is_up_is_told_and_nothing_is_forgotten() -> None:
    bench = Bench(ScriptedSender(opening=["transient"] * 50))
    bench.put(3)
    assert not bench.publish(timeout_s=0.05)
    assert len(bench.buffer) == 3


def test_a_fault_of_a_driver_does_not_end_the_loop(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(ScriptedSender):
        def open(self) -> None:
            super().open()
            if self.opened == 1:
                raise AttributeError("a fault of the driver")

    bench = Bench(Faulty())
    bench.put(1)
    assert bench.publish()
    assert "a fault of the driver" in caplog.text


def test_the_same_trouble_is_logged_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "superhero.transport")
    bench = Bench(ScriptedSender("transient", "transient", "transient"))
    bench.put(1)
    assert bench.publish()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
