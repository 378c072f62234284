"""A `logging.Handler` without a lock, for what is safe from many threads by itself."""

from __future__ import annotations

import logging


class LocklessHandler(logging.Handler):
    """Calls `emit` from many threads at once, as logging's own handlers do not."""

    def createLock(self) -> None:
        """Do without the lock that `handle` takes: `logging.shutdown` holds it while it waits for us."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        """Do as every handler does, without asking for a lock: from Python 3.13 on None would not do."""
        if self.filters:
            passed: bool | logging.LogRecord = self.filter(record)
            if not passed:
                return False
            if isinstance(passed, logging.LogRecord):  # from Python 3.12 on a filter may exchange it
                record = passed
        self.emit(record)
        return True
