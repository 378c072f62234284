"""Time logging calls one by one, in the thread that makes them. Standard library only."""

from __future__ import annotations

import logging
import time

from benchmarks.workload import log_order

_BURST = 100
_PAUSE_S = 0.01


def time_calls(log: logging.Logger, count: int, pause_s: float = _PAUSE_S) -> dict[str, float]:
    """Log `count` records in bursts of a hundred, and say how long a call took, in microseconds.

    The pauses let whatever works in the background come to its turn, as it would in a program that does more
    than log; within a burst it competes with the calls.
    """
    took: list[int] = []
    clock = time.perf_counter_ns
    for number in range(count):
        if number % _BURST == 0:
            time.sleep(pause_s)
        began = clock()
        log_order(log, number)
        took.append(clock() - began)
    took.sort()
    return {"median_us": took[len(took) // 2] / 1000, "p99_us": took[len(took) * 99 // 100] / 1000}
