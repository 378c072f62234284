"""Say which pipeline or step raised and where, and show its traceback, but not for every record."""

from __future__ import annotations

import inspect
import logging
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from superhero.transport.dead_letters import sentence

EVERY_S = 60.0
"""So long a fault that was shown is not shown again."""

_MOST_KNOWN = 1000

log = logging.getLogger(__name__)


class BlamedError(Exception):
    """A pipeline or step raised; the text says which one and where, and the cause is what it raised."""

    def __init__(self, function: Callable[..., Any], error: Exception) -> None:
        super().__init__(f"{named(function, error)}: {sentence(error)}")
        self.fault = (named(function), type(error).__qualname__)
        self.__cause__ = error


class Faults:
    """Shows the traceback of a fault, at most once in EVERY_S for each function and type of error."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._shown: dict[tuple[str, str], float] = {}

    def show(self, blamed: BlamedError) -> None:
        """Log it with its traceback, unless its like was logged lately."""
        now, last = self._clock(), self._shown.get(blamed.fault)
        if last is not None and now - last < EVERY_S:
            return
        if len(self._shown) >= _MOST_KNOWN:  # somebody makes up types of errors
            self._shown.clear()
        self._shown[blamed.fault] = now
        text = "%s; its like is not shown again for %.0f s"
        log.error(text, blamed, EVERY_S, exc_info=blamed.__cause__)


FAULTS = Faults()


def named(function: Callable[..., Any], error: BaseException | None = None) -> str:
    """Return `name (file:line)`: the line that raised where it is known, else that of the definition."""
    inner = inspect.unwrap(function)
    name = getattr(inner, "__qualname__", None) or repr(function)
    code = getattr(inner, "__code__", None)
    if code is None:
        return str(name)
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    lines = [frame.lineno for frame in frames if frame.filename == code.co_filename]
    return f"{name} ({_short(code.co_filename)}:{(lines or [code.co_firstlineno])[-1]})"


def check(function: Callable[..., Any]) -> None:
    """Raise TypeError, naming the function, unless it can be called with an envelope and an event."""
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{named(function)} is asynchronous; pipelines and steps are plain functions")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        raise TypeError(f"{named(function)} must take an envelope and an event: {error}") from None
    except ValueError:
        return  # written in C and tells nothing about itself


def _short(path: str) -> str:
    return path.removeprefix(f"{Path.cwd()}/")
