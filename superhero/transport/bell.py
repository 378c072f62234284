"""What a thread of ours sleeps by, and whoever has something for it rings.

Neither an Event, which a signal handler must not set, whatever its thread is in, nor `SimpleQueue.get`: when
a signal meets it just as its time is up, CPython 3.11 waits for ever. A lock's `acquire` does not.
"""

from __future__ import annotations

import threading


class Bell:
    """Rung any number of times, it wakes one `wait`: the one under way, or else the next."""

    def __init__(self) -> None:
        self._silent = threading.Lock()
        self._silent.acquire()

    def ring(self) -> None:
        """Wake who waits. From any thread, signal handler or finalizer."""
        try:
            self._silent.release()
        except RuntimeError:  # it was rung before, and nobody has come since
            return

    def wait(self, timeout_s: float) -> bool:
        """Wait until it rings; False when time was up first. An infinite timeout is none. By one thread."""
        return self._silent.acquire(timeout=-1 if timeout_s == float("inf") else max(timeout_s, 0.0))
