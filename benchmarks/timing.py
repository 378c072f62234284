"""Time logging calls one by one, in the thread that makes them. Standard library only."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from benchmarks.workload import log_order

# The first call after a pause finds the processor asleep, whatever handles it. In bursts of a hundred the
# 99th percentile would be those calls and nothing else; so they show in the 99.9th.
_BURST = 200
# Longer than a channel of ours lingers, so that its publisher is not at work when the next burst begins.
_PAUSE_S = 0.025


def time_calls(logs: Sequence[logging.Logger], count: int) -> list[dict[str, float]]:
    """Log `count` records to each logger, in turns of a burst, and say what its calls took, in microseconds.

    The pauses let whatever works in the background come to its turn, as it would in a program that does more
    than log; within a burst it competes with the calls.
    """
    times: list[list[int]] = [[] for _ in logs]
    for first in range(0, count, _BURST):
        turns = list(zip(logs, times, strict=True))
        for log, took in turns if first // _BURST % 2 else reversed(turns):
            time.sleep(_PAUSE_S)
            took += _burst(log, range(first, min(first + _BURST, count)))
    return [_percentiles(sorted(took)) for took in times]


def _burst(log: logging.Logger, numbers: range) -> list[int]:
    took: list[int] = []
    clock = time.perf_counter_ns
    for number in numbers:
        began = clock()
        log_order(log, number)
        took.append(clock() - began)
    return took


def _percentiles(took: list[int]) -> dict[str, float]:
    shares = {"median_us": 500, "p99_us": 990, "p999_us": 999}
    return {name: took[len(took) * share // 1000] / 1000 for name, share in shares.items()}
