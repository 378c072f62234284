"""Keep a spool: sync what the broker has not confirmed soon, and take over what dead processes left.

While the broker confirms quickly nothing is synced: what is confirmed needs no disk. So a power cut costs
records that were logged within the last two intervals and that the broker did not confirm.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from superhero.transport.bell import Bell
from superhero.transport.spool import Spool

_LOOK_EVERY_S = 15.0


class SpoolKeeper:
    """A thread that tends a spool; `on_adopted` is called when it has found records to send."""

    def __init__(self, spool: Spool, sync_s: float, on_adopted: Callable[[], None]) -> None:
        self._spool = spool
        self._sync_s = sync_s
        self._on_adopted = on_adopted
        self._bell = Bell()
        self._listening = False
        self._stopping = False
        self._look_at = 0.0
        self._looked = threading.Event()
        self._thread = threading.Thread(target=self._run, name="superhero-spool", daemon=True)

    def start(self) -> None:
        """Start the thread. Raise RuntimeError late in the interpreter's shutdown."""
        self._thread.start()

    def wake(self) -> None:
        """Tell that records may have come. Called by the publisher's thread, which such records wake."""
        if self._listening:
            self._listening = False
            self._bell.ring()

    def wait_for_first_look(self, timeout_s: float) -> None:
        """Wait until what dead processes left was looked for once, if the thread runs at all."""
        if self._thread.is_alive():
            self._looked.wait(timeout_s)

    def stop(self, timeout_s: float) -> None:
        """End the thread; wait for it for `timeout_s` at most."""
        self._stopping = True
        self._bell.ring()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping:
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + _LOOK_EVERY_S
                if self._spool.adopt() or self._spool.read_failed:
                    self._on_adopted()
                self._looked.set()
            # Listening first: what is put between the two is in the mark, or rings.
            self._listening = True
            mark = self._spool.mark()
            waits = not self._spool.settled(mark)
            rest_s = self._look_at - time.monotonic()
            if waits:
                self._listening = False
                self._pause(min(rest_s, self._sync_s))
                if not self._spool.settled(mark):
                    self._spool.sync()
            else:
                self._bell.wait(rest_s)
                self._listening = False

    def _pause(self, seconds: float) -> None:
        """Sleep, though somebody rang for more records: a sync too early is a sync too many."""
        until = time.monotonic() + seconds
        while not self._stopping and (left_s := until - time.monotonic()) > 0.0:
            self._bell.wait(left_s)
