"""A `logging.Handler` that turns records into Celery tasks, by `logging.config.dictConfig` alone:

    "handlers": {"pipeline": {"class": "superhero.transport.CeleryHandler", "broker_url": "amqp://..."}}

Guaranteed: a call of a logger never waits for the network and never raises because of us. A record goes out
as it was when it was logged, with an id that no other record has, until the broker confirmed it; it may go
out more than once, under the same id. With `spool_dir` that holds even if the process is killed at once:
the next one with the same directory sends what was left. Without it, what is unconfirmed when the process is
killed is gone. What does not fit into the spool, or memory, while the broker is away is dropped: counted, and
seen as a gap in the ids. `extra` may hold `event` (text), `payload` (mapping), `channel` and `record_id`.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

from superhero.errors import TransportError
from superhero.transport.capture import Capture, Captured
from superhero.transport.counters import Counters
from superhero.transport.flight import Limits
from superhero.transport.lockless import LocklessHandler
from superhero.transport.outlet import Outlet, OutletSettings
from superhero.transport.sender import Sender, open_sender
from superhero.transport.spool_folder import prepare

_handlers: WeakSet[CeleryHandler] = WeakSet()
_exiting = threading.Event()
# Runs before what was registered earlier, as `logging.shutdown` was, which flushes and closes each handler.
atexit.register(_exiting.set)


class CeleryHandler(LocklessHandler):
    """Sends each record to the channel named like its logger, or as `extra={"channel": ...}` says.

    broker_url        amqp://, amqps://, redis:// or rediss://; several with `;` between are tried in turn
    level             records below it are not sent
    spool_dir         directory that records wait in, shared with other processes; None: they wait in memory
    spool_max_bytes   how many bytes of disk this process may take there, with what it adopted from dead ones;
                      newer records are dropped and counted
    spool_sync_s      seconds between syncs while records wait: a power cut costs at most the last two
    max_records       how many records may wait in memory, without a spool or while the disk refuses
    max_bytes         how many bytes they may take; newer records are dropped and counted
    max_record_bytes  how large a record may be; of a larger one the payload is cut
    batch_records     how many records go into one task at most
    batch_bytes       how many bytes they take at most, unless a single record is larger
    window            how many tasks are on their way at a time
    confirm_timeout_s seconds after which a task without a confirm is sent again, on a new connection
    flush_timeout_s   seconds that `flush` takes at most, also when the interpreter exits
    compress          whether a task of 4 KiB and more is compressed (zstd); superhero's workers take both
    tls               {"ca_certs", "certfile", "keyfile"}: paths, for amqps:// and rediss://
    sender            for tests: called once in each process, returns what talks to the broker

    Records of kombu, amqp, celery, redis, billiard, vine and of the transport itself are not sent.
    Safe from many threads, from signal handlers, and across fork. Threads and connections are made when the
    first record comes.
    """

    def __init__(
        self,
        *,
        broker_url: str = "",
        level: int | str = logging.NOTSET,
        spool_dir: str | os.PathLike[str] | None = None,
        spool_max_bytes: int = 1024 * 1024 * 1024,
        spool_sync_s: float = 0.1,
        max_records: int = 100_000,
        max_bytes: int = 64 * 1024 * 1024,
        max_record_bytes: int = 1024 * 1024,
        batch_records: int = Limits.batch_records,
        batch_bytes: int = Limits.batch_bytes,
        window: int = Limits.window,
        confirm_timeout_s: float = Limits.confirm_timeout_s,
        flush_timeout_s: float = 5.0,
        compress: bool = True,
        tls: Mapping[str, Any] | None = None,
        sender: Callable[[], Sender] | None = None,
    ) -> None:
        # All that may raise comes before logging knows the handler, so that it never meets half of one.
        if sender is None:
            open_sender(
                broker_url, tls, compress=compress
            )  # a URL that cannot be used is told here, where somebody looks
        self._open_sender = sender or (lambda: open_sender(broker_url, tls, compress=compress))
        self._settings = OutletSettings(
            spool_dir=None if spool_dir is None else prepare(Path(spool_dir)),
            spool_max_bytes=spool_max_bytes,
            spool_sync_s=spool_sync_s,
            max_records=max_records,
            max_bytes=max_bytes,
            limits=Limits(batch_records, batch_bytes, window, confirm_timeout_s),
        )
        self._flush_timeout_s = flush_timeout_s
        self._capture = Capture(max_record_bytes)
        self._start_lock = threading.RLock()
        self._outlet: Outlet | None = None
        self._opening = False
        self._early: deque[Captured] = deque()
        self._closed = False
        self._failures = 0
        super().__init__(level)
        _handlers.add(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record for sending. Never raises, never waits for the network."""
        try:
            captured = self._capture.take(record, self.formatter)
            if captured is None:
                return
            outlet = self._outlet
            if outlet is None or self._closed:
                outlet = self._open_outlet()
            if outlet is None:
                self._early.append(captured)
            else:
                outlet.put(captured)
        except Exception:
            self.handleError(record)

    def put_many(self, captured: Sequence[Captured]) -> None:
        """Keep records that no logger made, as if each had been logged; filters are not asked.

        For volume. Each is its channel, the fields of its envelope as `encode_fields` returns them, and its
        record id, None for the next number. As safe when this returns as what was logged, and dropped and
        counted alike. Raise TransportError once the handler is closed.
        """
        outlet = self._outlet
        if outlet is None or self._closed:
            outlet = self._open_outlet()
        if outlet is None:
            self._early.extend(captured)
        else:
            outlet.put_many(captured)

    def handleError(self, record: logging.LogRecord) -> None:
        """Count a record that could not be kept, and print the first such error as logging does."""
        self._failures += 1
        if self._failures == 1:
            super().handleError(record)

    def start(self) -> None:
        """Start now instead of with the first record, for what dead processes left in the spool."""
        if self._outlet is None:
            self._open_outlet()

    def flush(self, timeout_s: float | None = None) -> bool:  # type: ignore[override]  # logging ignores it
        """Wait until the broker confirmed every record logged before; False when time was up first.

        Records that were dropped, or taken over from a dead process, are not waited for: see `counters`.
        Without an argument it takes `flush_timeout_s` at most. When the interpreter exits, which calls it so,
        it is about a second where the broker refuses to be connected to and all is in the spool.
        """
        outlet = self._outlet
        if outlet is None:
            return True
        if timeout_s is None:
            return outlet.flush(self._flush_timeout_s, ending=_exiting.is_set())
        return outlet.flush(timeout_s)

    def safe(self, timeout_s: float | None = None) -> bool:
        """Wait until every record logged before is confirmed, or synced to the spool; False if time is up."""
        outlet = self._outlet
        return outlet is None or outlet.sync() or self.flush(timeout_s)

    def close(self) -> None:
        """Wait as `flush` does, for what was taken over too; stop the threads, disconnect.

        What is unconfirmed by then is lost, unless it is spooled.
        """
        with self._start_lock:
            already, self._closed = self._closed, True
        if not already and self._outlet is not None:
            self._outlet.close(self._flush_timeout_s)
        super().close()

    def counters(self) -> Counters:
        """Return how things stand in this process."""
        outlet, failures = self._outlet, self._failures
        if outlet is None:
            return Counters(emitted=failures, dropped=failures)
        return outlet.counters(failures=failures)

    def numbers(self) -> dict[str, int]:
        """Return how far the producers of this process have come: the number after each one's latest record.

        Of ids that records brought themselves, the latest of each channel counts.
        """
        outlet = self._outlet
        return {} if outlet is None else outlet.numbers()

    def _open_outlet(self) -> Outlet | None:
        """Return the outlet, made if need be; None to whoever interrupted this thread amid the making."""
        with self._start_lock:
            if self._closed:
                raise TransportError("a record was logged after its handler was closed; it is dropped")
            if self._outlet is None and not self._opening:
                self._opening = True
                try:
                    outlet = Outlet(self._settings, self._open_sender(), lambda: self._capture.cut)
                    outlet.start()
                    self._outlet = outlet
                finally:
                    self._opening = False
                while self._early:
                    outlet.put(self._early.popleft())
                _close_with_pool_process(self)
            return self._outlet

    def _after_fork(self) -> None:
        """In a child: the parent keeps what it had, the child begins with nothing."""
        self._start_lock = threading.RLock()
        outlet, self._outlet = self._outlet, None
        self._opening = False
        self._early.clear()
        self._failures = 0
        self._capture.cut = 0
        if outlet is not None:
            outlet.abandon()


def _after_fork_in_child() -> None:
    _exiting.clear()
    for handler in list(_handlers):
        handler._after_fork()


if hasattr(os, "register_at_fork"):  # where there is a fork at all
    os.register_at_fork(after_in_child=_after_fork_in_child)


def _close_with_pool_process(handler: CeleryHandler) -> None:
    """Have a process that multiprocessing or billiard made close the handler at its end.

    Such a process ends without `atexit`, and so without `logging.shutdown`.
    """
    for package in ("multiprocessing", "billiard"):
        process, util = sys.modules.get(f"{package}.process"), sys.modules.get(f"{package}.util")
        if process is not None and util is not None and process.current_process()._parent_pid is not None:
            util.Finalize(None, handler.close, exitpriority=-100)
