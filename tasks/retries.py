"""Decide by an error's type whether trying again can help, and wait with a backoff that has its limits.

A batch waits where it is, in the worker's child, while the sink or Redis is away: nothing is published, and
order is kept as long as it can be. But a message must not stay unacknowledged for ever: RabbitMQ closes the
channel of a consumer after 30 minutes, a Redis broker hands the message to another worker after its
visibility timeout, and messages that were prefetched wait behind the one that is being tried. So patience
ends early enough for all of them, and the batch is given back to its queue.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import redis

from sinks.errors import TransientSinkError

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0
RABBITMQ_ACK_TIMEOUT_S = 1800.0
"""RabbitMQ's default consumer_timeout."""

Wait = Callable[[float], bool]
"""Waits so many seconds; True when the process should stop and the wait was cut short."""


class OutOfPatience(Exception):
    """Trying again did not help for as long as a message may be kept."""


class Interrupted(Exception):
    """The worker is to stop; what it holds goes back."""


def is_transient(error: BaseException) -> bool:
    """Tell whether the same may succeed later."""
    if isinstance(error, redis.RedisError):
        # A key of another type or a value that Redis cannot take stays as it is; all else passes: away,
        # loading, read-only, out of memory.
        return not (isinstance(error, redis.DataError) or "WRONGTYPE" in str(error))
    return isinstance(error, TransientSinkError)


def patience_s(ack_timeout_s: float, held_per_child: int) -> float:
    """Return how long one batch may be tried, in seconds.

    In half of the time that the broker leaves, a child must get through everything that may have been
    prefetched for it, each of which may use up its patience.
    """
    return ack_timeout_s / 2 / (held_per_child + 1)


def waits() -> Iterator[float]:
    """Yield seconds to wait: exponential up to LONGEST_WAIT_S, with full jitter so that workers spread."""
    ceiling = FIRST_WAIT_S
    while True:
        yield random.uniform(0.0, ceiling)
        ceiling = min(ceiling * 2, LONGEST_WAIT_S)


def persist(
    action: Callable[[], None],
    patience_s: float,
    wait: Wait,
    on_wait: Callable[[BaseException, float], None] = lambda error, seconds: None,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Try until `action` returns or raises something that is not transient, which comes out as it is.

    Raise OutOfPatience when the next wait would exceed `patience_s`, Interrupted when `wait` was cut short;
    the last error is their cause. `on_wait` is told of each error and how long the wait will be.
    """
    deadline = clock() + patience_s
    for seconds in waits():
        try:
            action()
        except Exception as error:
            if not is_transient(error):
                raise
            if clock() + seconds > deadline:
                raise OutOfPatience(f"gave up after {patience_s:.3g} s: {error}") from error
            on_wait(error, seconds)
            if wait(seconds):
                raise Interrupted(f"told to stop while waiting: {error}") from error
        else:
            return
