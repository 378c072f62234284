"""Where the records of a headless run go: into the pipeline, or out as JSON lines of envelopes.

No logger sees them: an envelope is made of a record directly, byte for byte the one that the transport makes
of what the server logs (`log_event`), at a third of the price.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import BinaryIO, Protocol

import orjson

from superhero.errors import BrokerUnavailable
from superhero.eventlog import told
from superhero.headless import Record
from superhero.plural import counted
from superhero.transport.capture import Captured
from superhero.transport.counters import Counters
from superhero.transport.envelope import Envelope, decode, encode_fields, with_id

MOST_WAITING = 10_000
MOST_WAITING_BYTES = 8 << 20
"""Records and bytes in the transport above which the run waits for it: far below what it has room for."""

AT_A_TIME = 250
"""Records put into the transport together; also how many go between two looks at how far it is."""
_FLUSH_S = 1.0

Put = Callable[[Record], None]


class Transport(Protocol):
    """What an outlet asks of the logging transport's handler."""

    def put_many(self, captured: Sequence[Captured]) -> None:
        """Keep records: see CeleryHandler."""

    def flush(self, timeout_s: float = ...) -> bool:
        """Wait until everything kept is safe; False when time was up before."""

    def counters(self) -> Counters:
        """Return what the transport did so far."""


def captured(record: Record) -> Captured:
    """Return what the transport would take of a record, dated by the run's own clock."""
    event = record.event
    channel = event.channel
    fields = {
        "channel": channel,
        "time": _utc(record.time),
        "level": "INFO",
        "logger": channel,
        "event": event.name,
        "message": told(event),
        "payload": record.payload(),
    }
    return channel, encode_fields(fields), record.record_id


def envelope(record: Record) -> Envelope:
    """Return the envelope that a worker would get of a record."""
    _, fields, record_id = captured(record)
    return decode(orjson.loads(with_id(record_id or "", fields)))


def _utc(moment: datetime) -> str:
    """Return a moment in UTC as ISO 8601 with microseconds; `isoformat` takes four times as long."""
    text = orjson.dumps(moment, option=orjson.OPT_UTC_Z).decode()
    return text[1:-1] if moment.microsecond else f"{text[1:-2]}.000000Z"


@contextmanager
def lines(file: BinaryIO) -> Iterator[Put]:
    """Yield a function that writes a record to `file` as a line of JSON."""

    def put(record: Record) -> None:
        _, fields, _ = captured(record)
        file.write(with_id(record.record_id, fields) + b"\n")

    yield put
    file.flush()


@contextmanager
def pipeline(
    transport: Transport,
    patience_s: float,
    clock: Callable[[], float] = time.monotonic,
    *,
    at_a_time: int = AT_A_TIME,
) -> Iterator[Put]:
    """Yield a function that puts a record into the transport, and waits where the transport is behind.

    Nothing is dropped, however fast the run. Records go `at_a_time`; with 1 each is on its way when the
    function returns. Leaving waits until all is safe. Raise BrokerUnavailable, then or in between, when the
    transport got no further for `patience_s`.
    """
    pressure = _Pressure(transport, patience_s, clock)
    held: list[Captured] = []

    def put(record: Record) -> None:
        held.append(captured(record))
        if len(held) >= at_a_time:
            put_held()

    def put_held() -> None:
        pressure.look_now_and_then(len(held))
        transport.put_many(held)
        held.clear()

    yield put
    put_held()
    pressure.wait_until_safe()


class _Pressure:
    """Holds a run back while the transport is behind."""

    def __init__(self, transport: Transport, patience_s: float, clock: Callable[[], float]) -> None:
        self._transport = transport
        self._patience_s = patience_s
        self._clock = clock
        self._until_look = AT_A_TIME

    def look_now_and_then(self, records: int) -> None:
        """Count records; look at the counters every so many."""
        self._until_look -= records
        if self._until_look > 0:
            return
        self._until_look = AT_A_TIME
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
                    f"the broker confirmed nothing for {self._patience_s:g} s, "
                    f"with {counted(now.waiting, 'record')} waiting"
                    f"{f': {now.last_error}' if now.last_error else ''}; run the command again once it is "
                    "back: the same seed gives the same record ids, so nothing is doubled"
                )
