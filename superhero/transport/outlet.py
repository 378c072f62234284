"""What carries the records of one process from the handler to the broker; a forked child makes its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from superhero.errors import PayloadsCut, RecordsDropped
from superhero.transport.buffer import Buffer, MemoryBuffer
from superhero.transport.counters import Counters
from superhero.transport.flight import Limits
from superhero.transport.intake import Intake
from superhero.transport.publisher import Publisher
from superhero.transport.sender import Sender
from superhero.transport.spool import Spool
from superhero.transport.spool_keeper import SpoolKeeper

_LOG = logging.getLogger("superhero.transport")
_STOP_S = 2.0
_GRACE_S = 1.0
"""How long the end waits for a broker that is away, while all records are safe in the spool."""
_JUST_BEFORE_S = 1.0
_TELL_EVERY_S = 600.0


@dataclass(frozen=True, slots=True)
class OutletSettings:
    """What `CeleryHandler` was given; it says what each means."""

    spool_dir: Path | None
    spool_max_bytes: int
    spool_sync_s: float
    max_records: int
    max_bytes: int
    limits: Limits


class Outlet:
    """Intake, buffer and publisher of one process, and its spool's keeper where there is a spool."""

    def __init__(self, settings: OutletSettings, sender: Sender, cut: Callable[[], int]) -> None:
        memory = MemoryBuffer(settings.max_records, settings.max_bytes)
        self._spool: Spool | None = None
        self._keeper: SpoolKeeper | None = None
        if settings.spool_dir is not None:
            self._spool = Spool(settings.spool_dir, settings.spool_max_bytes, memory)
        self._buffer: Buffer = memory if self._spool is None else self._spool
        self._publisher = Publisher(self._buffer, sender, settings.limits)
        self._publisher.before_each_round = self._before_each_round
        if self._spool is not None:
            self._keeper = SpoolKeeper(self._spool, settings.spool_sync_s, self._publisher.ring)
        self._intake = Intake(self._buffer, self._publisher)
        self._flushed_at = float("-inf")
        self._flush_took_s = 0.0
        self._cut = cut
        self._told_dropped = self._told_cut = 0
        self._tell_at = 0.0
        self.put = self._intake.put
        """Number a record and keep it, see `Intake.put`."""
        self.numbers = self._intake.numbers
        """Say how far each producer has come, see `Intake.numbers`."""
        self.put_many = self._intake.put_many
        """Number records and keep them, see Intake."""

    def start(self) -> None:
        """Start the threads."""
        # Importing us made this logger, and `dictConfig` disables by default what was there before it.
        _LOG.disabled = False
        # Late in the interpreter's shutdown none starts any more; `flush` then does the work itself.
        with suppress(RuntimeError):
            self._publisher.start()
            if self._keeper is not None:
                self._keeper.start()

    def flush(self, timeout_s: float, *, ending: bool = False) -> bool:
        """Wait until every record put before is confirmed; False when time was up first.

        What dead processes left is not waited for, save as far as it goes out before; nor, at the `ending`
        of the process, a broker that is away, as far as `close` does not.
        """
        self._intake.put_set_aside()
        began, mark = time.monotonic(), self._buffer.mark()
        if ending:
            flushed = self._finish(lambda: self._buffer.settled(mark), began + timeout_s)
        else:
            flushed = self._publisher.wait(lambda: self._buffer.settled(mark), timeout_s)
        self._flushed_at = time.monotonic()
        self._flush_took_s = self._flushed_at - began if flushed else float("inf")
        return flushed

    def sync(self) -> bool:
        """Make every record put before safe from a power cut, if a spool holds them all."""
        self._intake.put_set_aside()
        return self._buffer.sync()

    def close(self, timeout_s: float) -> None:
        """Wait until all is confirmed, what dead processes left included; stop the threads and disconnect.

        Does not wait for a broker that is away while the records are safe in the spool, nor when a `flush`
        gave up just before, as when the interpreter exits.
        """
        self._intake.put_set_aside()
        now, mark = time.monotonic(), self._buffer.mark()
        spent_s = self._flush_took_s if now - self._flushed_at <= _JUST_BEFORE_S else 0.0
        if spent_s < float("inf") and self._finish(lambda: self._buffer.settled(mark), now + timeout_s):
            deadline = now + timeout_s - spent_s
            if self._keeper is not None:
                # A process may be done before its keeper has found what it is to send for its predecessor.
                self._keeper.wait_for_first_look(deadline - time.monotonic())
            self._finish(lambda: len(self._buffer) == 0, deadline)
        if self._keeper is not None:
            self._keeper.stop(_STOP_S)
        self._publisher.stop(_STOP_S)
        self._buffer.sync()
        left = len(self._buffer)
        self._buffer.close()
        if left:
            fate = "they are lost" if self._spool is None else "the next process sends them from the spool"
            _LOG.warning("%d records were not confirmed when their handler closed; %s", left, fate)

    def abandon(self) -> None:
        """In a forked child: leave files, locks and the connection to the parent."""
        self._publisher.abandon()
        self._buffer.abandon()

    def counters(self, *, failures: int) -> Counters:
        """Return how things stand. `failures` are records that did not get here."""
        tally, spool = self._publisher.tally, self._spool
        return Counters(
            emitted=self._intake.emitted + failures,
            dropped=self._intake.dropped + failures,
            cut=self._cut(),
            published=tally.published,
            confirmed=tally.confirmed,
            refused=tally.refused,
            waiting=len(self._buffer),
            waiting_bytes=self._buffer.size_bytes,
            in_flight=self._publisher.in_flight,
            oldest_age_s=_age_s(self._buffer.oldest()),
            spooled=0 if spool is None else spool.spooled,
            adopted=0 if spool is None else spool.adopted,
            corrupt=0 if spool is None else spool.corrupt,
            connects=tally.connects,
            connected=tally.connected,
            blocked=self._publisher.blocked,
            last_error=self._publisher.trouble.last,
        )

    def _finish(self, reached: Callable[[], bool], deadline: float) -> bool:
        """Wait as long as the end may: with a broker that is away not longer than the spool makes needful."""
        self._publisher.ring()  # so that a broker that is back is tried once more
        wait, left_s = self._publisher.wait, deadline - time.monotonic()
        if wait(reached, min(left_s, _GRACE_S)):
            return True
        worthwhile = not self._publisher.away or not self._buffer.sync()
        return worthwhile and wait(reached, deadline - time.monotonic())

    def _before_each_round(self) -> None:
        """Do what may not be done amid a logging call. Called by the publisher's thread."""
        self._intake.put_set_aside()
        self._tell()
        if self._spool is not None and (trouble := self._spool.take_trouble()):
            self._publisher.trouble.note(trouble)
        if self._keeper is not None:
            self._keeper.wake()

    def _tell(self) -> None:
        """Log drops and cut payloads when they happen, and the counters now and then."""
        dropped = self._intake.dropped
        if dropped > self._told_dropped:
            self._told_dropped = dropped
            self._publisher.trouble.note(
                RecordsDropped(f"records dropped so far: {dropped}, as what holds them is full")
            )
        cut = self._cut()
        if cut > self._told_cut:
            self._told_cut = cut
            self._publisher.trouble.note(
                PayloadsCut(
                    f"records that went with a stand-in for their payload so far: {cut}; it was larger than "
                    "max_record_bytes, or JSON cannot hold it"
                )
            )
        if time.monotonic() >= self._tell_at:
            if self._tell_at:
                _LOG.info("counters: %s", asdict(self.counters(failures=0)))
            self._tell_at = time.monotonic() + _TELL_EVERY_S


def _age_s(encoded: bytes | None) -> float:
    if encoded is None:
        return 0.0
    logged = datetime.fromisoformat(orjson.loads(encoded)["time"])
    return max((datetime.now(UTC) - logged).total_seconds(), 0.0)
