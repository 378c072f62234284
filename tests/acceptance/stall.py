"""Makes a worker live on without consuming, once: given to it with `-I stall`.

STALL=silent ends its consumers without a word, STALL=hung lets its thread hang. The folder in STALL_FOLDER
remembers that it was done.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from celery.signals import worker_ready

from tasks import watch

watch.LOOK_EVERY_S = 0.4


@worker_ready.connect
def stall(sender: Any, **_: Any) -> None:
    """Break the worker that is ready, unless one was broken before."""
    done = Path(os.environ["STALL_FOLDER"]) / "stalled"
    if done.exists():
        return
    sender.hub.call_soon(_break, sender, done)


def _break(consumer: Any, done: Path) -> None:
    if os.environ["STALL"] == "silent":
        consumer.task_consumer.cancel()
    done.touch()
    if os.environ["STALL"] == "hung":
        time.sleep(3600)
