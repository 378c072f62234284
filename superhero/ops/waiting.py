"""Wait for something outside this process, which can only be looked at, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(condition: Callable[[], T], timeout_s: float, every_s: float = 0.1) -> T:
    """Look at `condition` every `every_s` seconds; return its first true value, or the last one."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value or time.monotonic() >= deadline:
            return value
        time.sleep(every_s)
