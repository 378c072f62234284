"""Time logging calls one by one, in the thread that makes them. Standard library only."""

from __future__ import annotations

import logging
import time

from benchmarks.workload import log_order

# The first call after a pause finds the processor asleep, whatever handles it. In bursts of a hundred the
# 99th percentile would be those calls and nothing else; so they show in the 99.9th.
_BURST = 200
_PAUSE_S = 0.02


def time_calls(log: logging.Logger, count: int, pause_s: float = _PAUSE_S) -> dict[str, float]:
    """Log `count` records in bursts, and say how long a call took, in microseconds.

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
    shares = {"median_us": 500, "p99_us": 990, "p999_us": 999}
    return {name: took[len(took) * share // 1000] / 1000 for name, share in shares.items()}
