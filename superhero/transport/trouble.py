"""Tell of trouble rarely: a line when it begins, one a minute while it lasts, one when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable

from superhero.errors import TransportError

_EVERY_S = 60.0


class Trouble:
    """Logs what went wrong, at most once a minute for each kind of error. `last` is the latest text."""

    def __init__(self, log: logging.Logger, clock: Callable[[], float]) -> None:
        self.last = ""
        self._log = log
        self._clock = clock
        self._told: dict[type[Exception], float] = {}

    def note(self, error: Exception) -> None:
        """Log an error, with its traceback if it is none of ours, unless its kind was told just now."""
        self.last = str(error) or type(error).__name__
        now = self._clock()
        if now - self._told.get(type(error), now - _EVERY_S) < _EVERY_S:
            return
        self._told[type(error)] = now
        expected = isinstance(error, TransportError)
        self._log.warning("%s", self.last, exc_info=not expected and error)

    def over(self) -> None:
        """Log that records reach the broker again."""
        if self._told:
            self._log.info("records reach the broker again")
            self._told.clear()
