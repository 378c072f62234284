"""Take records from a buffer to a broker, in batches, until the broker confirmed each.

A channel has at most one batch on its way that is not full. So a record that comes alone goes out at once;
while its confirm is awaited, and for some milliseconds at least, others gather: the busier a channel is the
larger its batches become. Full batches go out side by side, as many as the window allows. A new connection
begins with a window of one and doubles it with every confirm, so that a broker in trouble is not met with a
flood.

What has no outcome when a connection ends is sent again on the next, before younger records, as the same
task. There is no number of attempts after which a record is given up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from superhero.errors import BrokerUnavailable, TopologyMismatch, TransportError
from superhero.transport.bell import Bell
from superhero.transport.buffer import Buffer, Mark
from superhero.transport.flight import Flight, Limits, backoff_s
from superhero.transport.leases import Lease
from superhero.transport.sender import Outcome, Sender
from superhero.transport.tracing import PublishSpans
from superhero.transport.trouble import Trouble

_LOG = logging.getLogger("superhero.transport")
_LOOK_S = 0.05
"""While confirms are awaited, how often to look whether records of another channel came."""


@dataclass(slots=True)
class Tally:
    """What a publisher did so far; written by its thread alone."""

    published: int = 0
    confirmed: int = 0
    refused: int = 0
    connects: int = 0
    connected: bool = False


class Publisher:
    """The loop between a buffer and a sender, run by a thread of its own that `start` starts."""

    def __init__(
        self,
        buffer: Buffer,
        sender: Sender,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tally = Tally()
        self.trouble = Trouble(_LOG, clock)
        self.thread_id: int | None = None
        self.listening = False
        """Set while the thread sleeps until somebody calls `ring`."""
        self.before_each_round: Callable[[], None] = lambda: None
        """Called by the thread where it holds no lock."""
        self._buffer = buffer
        self._sender = sender
        self._limits = limits
        self._clock = clock
        self._bell = Bell()
        self._thread: threading.Thread | None = None
        self._run_lock = threading.Lock()
        self._progress = threading.Condition()
        self._waiting = 0
        self._lingering = False
        self._stopping = False
        self._failures = 0
        self._flight = Flight(limits, clock)
        self._spans = PublishSpans()

    @property
    def in_flight(self) -> int:
        """How many records are sent and have no outcome so far."""
        return self._flight.records

    @property
    def away(self) -> bool:
        """Whether the broker could not be reached when it was tried last; not while it is tried at first."""
        return self._failures > 0 and not self.tally.connected

    @property
    def blocked(self) -> bool:
        """Whether the broker asked for a pause."""
        return self._sender.blocked

    def start(self) -> None:
        """Start the thread. Raise RuntimeError late in the interpreter's shutdown; `wait` works without."""
        thread = threading.Thread(target=self._run_thread, name="superhero-transport", daemon=True)
        thread.start()
        self._thread = thread

    def ring(self) -> None:
        """Wake the thread from its sleep."""
        self.listening = False
        self._bell.ring()

    def wait(self, reached: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until confirms have made `reached` true; False if time is up, or nobody publishes any more."""
        deadline = self._clock() + timeout_s
        with self._hurried():
            if self._thread is None:
                self._run(lambda: reached() or self._stopping or self._clock() >= deadline)
            else:
                with self._progress:
                    self._progress.wait_for(lambda: reached() or self._stopping, timeout_s)
        return reached()

    def stop(self, timeout_s: float) -> None:
        """End the thread after its current step, sent or not sent; wait for it for `timeout_s` at most."""
        self._stopping = True
        self.ring()
        with self._progress:
            self._progress.notify_all()
        if self._thread is not None and self._thread.ident != threading.get_ident():
            self._thread.join(timeout_s)

    def abandon(self) -> None:
        """In a forked child, where the thread does not live: leave the parent's connection alone."""
        self._sender.abandon()

    @contextmanager
    def _hurried(self) -> Iterator[None]:
        """Have no channel linger meanwhile: whoever waits has nothing more to gather for."""
        with self._progress:
            self._waiting += 1
        try:
            if self._lingering or self.listening:  # the sleep while a broker is away is to last
                self.ring()
            yield
        finally:
            with self._progress:
                self._waiting -= 1

    def _run_thread(self) -> None:
        self._run(lambda: self._stopping)

    def _run(self, over: Callable[[], bool]) -> None:
        """Publish until `over`; a broker that is away is tried again for ever."""
        with self._run_lock:
            self.thread_id = threading.get_ident()
            try:
                while not over():
                    self._serve(over)
            finally:
                self.thread_id = None

    def _serve(self, over: Callable[[], bool]) -> None:
        """Sleep until there is something to send, then keep a connection for as long as it lasts."""
        try:
            self.before_each_round()
            mark = self._buffer.mark()
            if len(self._buffer) == 0:
                self._sleep(mark, float("inf"))
                return
            try:
                self._session(over)
            finally:
                self._end_session()
        except TransportError as error:
            self._failed(error)
        except Exception as error:  # boundary: the thread must outlive a fault of ours or of a driver's
            self._failed(error)
        if self._failures and not over():
            self._bell.wait(backoff_s(self._failures))

    def _session(self, over: Callable[[], bool]) -> None:
        self._sender.open()
        self._flight.begin()
        self.tally.connects += 1
        self.tally.connected = True
        while not over():
            self.before_each_round()
            mark = self._buffer.mark()
            self._flight.look(hurried=self._waiting > 0)
            self._fill()
            if self._flight or self._sender.blocked:
                self._settle(self._sender.wait(_LOOK_S if self._flight else self._sender.idle_s))
                self._check_patience()
            elif (linger_s := self._flight.linger_s) is not None:
                # Without listening: who logs meanwhile need not wake us, which would cost more than the call.
                self._lingering = True
                if not self._waiting:
                    self._bell.wait(linger_s)
                self._lingering = False
            else:
                self._settle(self._sender.wait(0.0))
                self._sleep(mark, min(self._sender.idle_s, self._flight.nearest_rest_s))

    def _fill(self) -> None:
        """Send what waits, as far as the window and the broker allow."""
        flight, limits = self._flight, self._limits
        while not (self._sender.blocked or flight.full):
            lease = self._buffer.lease(
                limits.batch_records, limits.batch_bytes, resting=flight.resting, busy=flight.busy
            )
            if lease is None:
                return
            lease = self._spans.begin(lease)
            flight.take_off(lease)
            try:
                self._sender.send(lease)
            except TopologyMismatch as error:
                self._settle([Outcome(lease, False, str(error))])
            else:
                self.tally.published += len(lease.encoded)

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        if not outcomes:
            return
        for outcome in outcomes:
            lease = outcome.lease
            self._spans.end(outcome)
            if not self._flight.land(lease, confirmed=outcome.confirmed):
                continue
            if outcome.confirmed:
                self._confirmed(lease)
            else:
                self._refused(lease, outcome.reason)
        with self._progress:
            self._progress.notify_all()

    def _confirmed(self, lease: Lease) -> None:
        self._buffer.confirm(lease)
        self.tally.confirmed += len(lease.encoded)
        if self._failures:
            self._failures = 0
            self.trouble.over()

    def _refused(self, lease: Lease, reason: str) -> None:
        """Take a lease back; its channel is left alone for a while, the others go on."""
        self._buffer.release(lease)
        self.tally.refused += len(lease.encoded)
        self.trouble.note(BrokerUnavailable(f"records of channel {lease.channel!r} came back: {reason}"))

    def _check_patience(self) -> None:
        """Raise BrokerUnavailable when a confirm is overdue and nothing was heard since it was asked for."""
        if self._sender.blocked:
            self._flight.blocked()
            self.trouble.note(
                BrokerUnavailable("the broker accepts nothing for now (memory or disk alarm); records wait")
            )
            return
        lease, others_came = self._flight.overdue()
        if lease is not None:
            error = BrokerUnavailable(
                f"no confirm came within {self._limits.confirm_timeout_s:g} s for channel {lease.channel!r}"
            )
            if not others_came:
                raise error
            self.trouble.note(error)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self.trouble.note(error)

    def _end_session(self) -> None:
        self.tally.connected = False
        self._sender.close()
        for lease in self._flight.end():
            self._spans.end(Outcome(lease, False, "the connection ended before it was confirmed"))
            self._buffer.release(lease)

    def _sleep(self, mark: Mark, timeout_s: float) -> None:
        """Sleep until somebody rings or time is up, unless something was put since `mark` was taken."""
        self.listening = True
        if self._buffer.mark() == mark and not self._stopping:
            self._bell.wait(timeout_s)
        self.listening = False
