"""Where the records of a headless run go: into the pipeline, or out as JSON lines of envelopes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Protocol

from superhero.errors import BrokerUnavailable
from superhero.eventlog import log_event, told
from superhero.events import CHANNELS
from superhero.headless import Record
from superhero.transport.counters import Counters
from superhero.transport.envelope import Envelope, encode

MOST_WAITING = 10_000
MOST_WAITING_BYTES = 8 << 20
"""Records and bytes in the transport above which the run waits for it: far below what it has room for."""

_LOOK_EVERY = 250  # records between two looks at the transport's counters
_FLUSH_S = 1.0

Put = Callable[[Record], None]


class Transport(Protocol):
    """What an outlet asks of the logging transport's handler."""

    def flush(self, timeout_s: float = ...) -> bool:
        """Wait until everything logged is safe; False when time was up before."""

    def counters(self) -> Counters:
        """Return what the transport did so far."""


def envelope(record: Record) -> Envelope:
    """Return the envelope that the transport would make of a record, dated by the run's own clock."""
    event = record.event
    return Envelope(
        id=record.record_id,
        channel=event.channel,
        time=f"{record.time.isoformat(timespec='microseconds')[:26]}Z",  # in place of +00:00
        level="INFO",
        logger=event.channel,
        event=event.name,
        message=told(event),
        payload=record.payload(),
    )


@contextmanager
def lines(file: BinaryIO) -> Iterator[Put]:
    """Yield a function that writes a record to `file` as a line of JSON."""

    def put(record: Record) -> None:
        file.write(encode(envelope(record)) + b"\n")

    yield put
    file.flush()


@contextmanager
def pipeline(
    handler: logging.Handler,
    transport: Transport,
    patience_s: float,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Put]:
    """Yield a function that logs a record through `handler` alone, and waits where the transport is behind.

    Nothing is dropped, however fast the run. Leaving waits until all is safe. Raise BrokerUnavailable, then
    or in between, when the transport got no further for `patience_s`.
    """
    pressure = _Pressure(transport, patience_s, clock)

    def put(record: Record) -> None:
        pressure.look_now_and_then()
        log_event(record.event, record.record_id, record.time.timestamp(), record.instead)

    with _only(handler):
        yield put
        pressure.wait_until_safe()


class _Pressure:
    """Holds a run back while the transport is behind."""

    def __init__(self, transport: Transport, patience_s: float, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._patience_s = patience_s
        self._clock = clock
        self._until_look = _LOOK_EVERY

    def look_now_and_then(self) -> None:
        """Count a record; look at the counters every so many."""
        self._until_look -= 1
        if self._until_look > 0:
            return
        self._until_look = _LOOK_EVERY
        counters = self._transport.counters()
        if counters.waiting > MOST_WAITING or counters.waiting_bytes > MOST_WAITING_BYTES:
            self.wait_until_safe()

    def wait_until_safe(self) -> None:
        """Wait until everything logged is safe."""
        confirmed, moved_at = self._transport.counters().confirmed, self._clock()
        while not self._transport.flush(_FLUSH_S):
            now = self._transport.counters()
            if now.confirmed != confirmed:
                confirmed, moved_at = now.confirmed, self._clock()
            elif self._clock() - moved_at > self._patience_s:
                raise BrokerUnavailable(
                    f"the broker confirmed nothing for {self._patience_s:g} s, {now.waiting:,} records wait"
                    f"{f': {now.last_error}' if now.last_error else ''}; run the command again once it is "
                    "back: the same seed gives the same record ids, so nothing is doubled"
                )


@contextmanager
def _only(handler: logging.Handler) -> Iterator[None]:
    """Let the channels' records go to `handler` and nowhere else."""
    before = [(logger, logger.level, logger.propagate) for logger in map(logging.getLogger, CHANNELS)]
    for logger, _, _ in before:
        logger.setLevel(logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
