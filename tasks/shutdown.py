"""Stop softly: a child finishes the batch it has in hand, and waits no longer for a sink that is away.

The parent tells its children by the end of a pipe: they hold the reading end, it alone the writing end, which
it closes when it is told to stop and which the system closes when it dies. That needs no signal, and a child
forked later sees it too. Where children are not forked but spawned (macOS) they never see it; their wait then
ends with its patience.
"""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from billiard import active_children, current_process
from celery import signals

_RESULT_LEAVES_S = 0.2
"""How long a finished task's result may take to its parent before the process ends."""


class StopPipe:
    """Becomes readable, by its end, when the process that made it is told to stop or is gone."""

    def __init__(self) -> None:
        self._reader, writer = os.pipe()
        self._writer: int | None = writer

    def wait(self, seconds: float) -> bool:
        """Wait; return True as soon as the worker is to stop, False when time is up."""
        return bool(select.select([self._reader], [], [], seconds)[0])

    def let_go(self) -> None:
        """Close this process's writing end: in a child, so that the parent's is the last; there, to stop."""
        if self._writer is not None:
            os.close(self._writer)
            self._writer = None


class _Term:
    """Whether SIGTERM came while a task was at work."""

    def __init__(self) -> None:
        self.came = False

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self.came = True


_pipe: StopPipe | None = None
_term = _Term()


def wait(seconds: float) -> bool:
    """Wait so many seconds; True when this worker is to stop, and then at once if its parent said so."""
    stopping = _pipe.wait(seconds) if _pipe is not None else _plain_wait(seconds)
    return stopping or _term.came


@contextmanager
def sheltered() -> Iterator[None]:
    """Put off SIGTERM until the task in this block is over and its result has reached the parent.

    A child is sent SIGTERM by honcho, which signals the whole process group, and by Celery, which ends tasks
    whose connection is gone. Neither is worth a batch that is written already, or half. Only in a pool's
    child; a process that runs tasks by itself has Celery's own handler.
    """
    if current_process().name == "MainProcess" or threading.current_thread() is not threading.main_thread():
        yield
        return
    _term.came = False
    previous = signal.signal(signal.SIGTERM, _term)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
        if _term.came:
            end = threading.Timer(_RESULT_LEAVES_S, os.kill, (os.getpid(), signal.SIGTERM))
            end.daemon = True
            end.start()


def _plain_wait(seconds: float) -> bool:
    return threading.Event().wait(seconds)


@signals.worker_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _make_pipe(**_: Any) -> None:
    """Make the pipe before the children are forked."""
    global _pipe
    _pipe = StopPipe()


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _in_child(**_: Any) -> None:
    if _pipe is not None:
        _pipe.let_go()


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _stop(how: str = "Warm", **_: Any) -> None:
    """Tell the children. A cold shutdown left them their time already, and does not wait any longer."""
    if _pipe is not None:
        _pipe.let_go()
    if how == "Cold":
        for child in active_children():
            os.kill(child.pid, signal.SIGKILL)
