"""Where the records of a headless run go, and that a slow transport slows the run and loses nothing."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import count

import pytest

from superhero.errors import BrokerUnavailable
from superhero.eventlog import log_event
from superhero.events import CHANNELS
from superhero.generator.faults import Shares, deliver
from superhero.generator.rates import Rate
from superhero.headless import play
from superhero.ops.outlets import MOST_WAITING, lines, pipeline
from superhero.roster import shipped
from superhero.transport import Counters
from superhero.transport.capture import Capture, Captured
from superhero.transport.envelope import decode

HEROES = shipped()


class SlowTransport:
    """Confirms what was put when it is flushed, so many records at a time; 0 is a broker that is away."""

    def __init__(self, confirms: int) -> None:
        self.records: list[Captured] = []
        self.most_waiting = 0
        self._confirms = confirms
        self._confirmed = 0

    def put_many(self, captured: Sequence[Captured]) -> None:
        """Keep records."""
        self.records += captured
        self.most_waiting = max(self.most_waiting, self.counters().waiting)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Confirm some of what waits."""
        self._confirmed = min(self._confirmed + self._confirms, len(self.records))
        return self._confirmed == len(self.records)

    def counters(self) -> Counters:
        """Return how things stand."""
        waiting = len(self.records) - self._confirmed
        return Counters(emitted=len(self.records), confirmed=self._confirmed, waiting=waiting)


def test_lines_are_the_envelopes_in_order() -> None:
    file = BytesIO()
    with lines(file) as put:
        for record in play(7, 3, HEROES):
            put(record)
    written = [decode(json.loads(line)) for line in file.getvalue().splitlines()]
    assert [envelope.id for envelope in written] == [record.record_id for record in play(7, 3, HEROES)]


class Capturing(logging.Handler):
    """Takes of what is logged what the transport's handler would take."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[Captured | None] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take it."""
        self.taken.append(Capture(1 << 20).take(record))


@pytest.fixture
def logged() -> Iterator[list[Captured | None]]:
    """Return what the transport takes of what is logged to the channels."""
    handler, loggers = Capturing(), [logging.getLogger(channel) for channel in CHANNELS]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)
    yield handler.taken
    for logger, (level, propagate) in zip(loggers, before, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagate


@pytest.mark.parametrize("shares", [Shares(), Shares(malformed=0.3, schema_changed=0.3, skewed_clock=0.3)])
def test_the_pipeline_gets_every_record_byte_for_byte_as_the_server_would_log_it(
    logged: list[Captured | None], shares: Shares
) -> None:
    transport = SlowTransport(1000)
    with pipeline(transport, 1.0) as put:
        for delivery in deliver(play(7, 30, HEROES, rate=Rate(1.7)), shares, 7):
            record = delivery.record
            put(record)
            log_event(record.event, record.record_id, record.time.timestamp(), record.instead)
    assert transport.records == logged


def test_a_record_with_a_time_of_its_own_waits_for_no_other() -> None:
    transport = SlowTransport(1000)
    with pipeline(transport, 1.0, at_a_time=1) as put:
        put(next(play(7, 1, HEROES)))
        assert len(transport.records) == 1


def test_a_slow_transport_is_waited_for() -> None:
    transport = SlowTransport(400)
    with pipeline(transport, 60.0) as put:
        for record in play(7, 2000, HEROES):
            put(record)
        assert len(transport.records) > 2 * MOST_WAITING
    assert transport.most_waiting <= MOST_WAITING + 250
    assert transport.counters().waiting == 0


def test_a_transport_that_confirms_nothing_ends_the_run_with_what_to_do() -> None:
    transport, clock = SlowTransport(0), count()
    with (
        pytest.raises(
            BrokerUnavailable, match=r"confirmed nothing for 60 s, with 106 records waiting; run the command"
        ),
        pipeline(transport, 60.0, clock=lambda: float(next(clock))) as put,
    ):
        for record in play(7, 0, HEROES):
            put(record)
