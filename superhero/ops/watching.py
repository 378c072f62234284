"""Something that is watched from a thread of its own for as long as somebody is interested."""

from __future__ import annotations

import threading
import time
from abc import abstractmethod

from superhero.ops.started import Started


class Watching(Started):
    """Runs `_watch` in a thread from `start` to `stop`; it must return soon after `_over` is set."""

    def __init__(self, name: str) -> None:
        self._over = threading.Event()
        self._began = 0.0  # by the monotonic clock, once it has
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._began = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End, and wait until the thread has."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    @abstractmethod
    def _watch(self) -> None:
        """Watch until `_over` is set."""
