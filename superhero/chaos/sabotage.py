"""Loaded into a worker by `celery worker --include superhero.chaos.sabotage`, so that it can be hit at work.

Some records kill the pool process that is given them, as a driver's crash or the kernel's out-of-memory
killer does. And FREEZE stops a pool process within the next task that it begins: kills would else hit an idle
one nearly always, since a task takes a millisecond.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from celery.signals import task_prerun, worker_process_init

MARK = "the record that kills its worker"
"""A task whose arguments hold this text never comes to its end."""

FREEZE = signal.SIGUSR2
_asked_to_freeze = False


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def listen(**rest: Any) -> None:
    """Let a pool process take FREEZE."""
    signal.signal(FREEZE, _ask)


@task_prerun.connect  # type: ignore[untyped-decorator]  # Celery has no types
def strike(args: object = None, **rest: Any) -> None:
    """Kill or stop this process before its task does anything, if that was asked for."""
    if MARK in repr(args):
        os.kill(os.getpid(), signal.SIGKILL)
    if _asked_to_freeze:
        os.kill(os.getpid(), signal.SIGSTOP)


def _ask(*_: object) -> None:
    global _asked_to_freeze
    _asked_to_freeze = True
