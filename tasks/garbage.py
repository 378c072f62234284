"""Have the garbage collector of a worker's child look where there may be garbage, and not all the time.

A batch makes thousands of objects that live until it is written, none of them part of a cycle. With Python's
own thresholds the collector goes through them again and again: up to half of a batch's time.
"""

from __future__ import annotations

import gc
from typing import Any

from celery import signals

_THRESHOLDS = (50_000, 20, 20)
"""New objects before a look; looks at the young before one at the middle-aged; and at these before all."""


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _in_child(**_: Any) -> None:
    """Leave out what was there before the fork, for good: the modules and the app."""
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
