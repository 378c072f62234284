"""Where the records of a headless run go, and that a slow transport slows the run and loses nothing."""

from __future__ import annotations

import json
import logging
from io import BytesIO
from itertools import count

import pytest

from superhero.errors import BrokerUnavailable
from superhero.events import CHANNELS
from superhero.headless import play
from superhero.ops.outlets import MOST_WAITING, lines, pipeline
from superhero.roster import shipped
from superhero.transport import Counters
from superhero.transport.envelope import decode

HEROES = shipped()


class SlowTransport(logging.Handler):
    """Confirms what was logged when it is flushed, so many records at a time; 0 is a broker that is away."""

    def __init__(self, confirms: int) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.most_waiting = 0
        self._confirms = confirms
        self._confirmed = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        self.records.append(record)
        self.most_waiting = max(self.most_waiting, self.counters().waiting)

    def flush(self, timeout_s: float = 5.0) -> bool:  # type: ignore[override]  # as CeleryHandler has it
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


def test_the_pipeline_gets_every_record_as_the_server_would_log_it() -> None:
    transport = SlowTransport(1000)
    with pipeline(transport, transport, 1.0) as put:
        for record in play(7, 3, HEROES):
            put(record)
    for logged, record in zip(transport.records, play(7, 3, HEROES), strict=True):
        assert (logged.name, logged.levelname) == (record.event.channel, "INFO")
        assert logged.__dict__["record_id"] == record.record_id
        assert logged.__dict__["event"] == record.event.name
        assert logged.__dict__["payload"] == record.event.payload()
        assert logged.created == record.time.timestamp()


def test_a_slow_transport_is_waited_for() -> None:
    transport = SlowTransport(400)
    with pipeline(transport, transport, 60.0) as put:
        for record in play(7, 2000, HEROES):
            put(record)
        assert len(transport.records) > 2 * MOST_WAITING
    assert transport.most_waiting <= MOST_WAITING + 250
    assert transport.counters().waiting == 0


def test_a_transport_that_confirms_nothing_ends_the_run_with_what_to_do() -> None:
    transport, clock = SlowTransport(0), count()
    with (
        pytest.raises(
            BrokerUnavailable, match=r"confirmed nothing for 60 s, 106 records wait; run the command"
        ),
        pipeline(transport, transport, 60.0, clock=lambda: float(next(clock))) as put,
    ):
        for record in play(7, 0, HEROES):
            put(record)


def test_loggers_are_as_they_were_afterwards() -> None:
    before = [
        (logger.level, logger.propagate, list(logger.handlers)) for logger in map(logging.getLogger, CHANNELS)
    ]
    transport = SlowTransport(1000)
    with pipeline(transport, transport, 1.0):
        assert all(logging.getLogger(channel).handlers[-1] is transport for channel in CHANNELS)
    after = [
        (logger.level, logger.propagate, list(logger.handlers)) for logger in map(logging.getLogger, CHANNELS)
    ]
    assert after == before
