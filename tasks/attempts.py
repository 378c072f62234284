"""Count how often a batch was begun before, to find the one that kills its worker.

RabbitMQ counts deliveries itself (quorum queues: header x-delivery-count) and dead-letters a message that
was redelivered DELIVERY_LIMIT times. A Redis broker counts nothing, so there we do: a key per task, raised
before the work and removed when it ends in whatever way, so that only the death of the process leaves it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis

from superhero import keys
from superhero.transport.topology import DELIVERY_LIMIT
from tasks import resources

SPLIT_AFTER = 2
"""So many earlier attempts of a batch make us suspect one of its records, and take it apart."""

GIVE_UP_AFTER = DELIVERY_LIMIT
"""So many earlier attempts of a single record make it poison; RabbitMQ keeps to that by itself."""

_KEPT_S = 86400

log = logging.getLogger(__name__)


@contextmanager
def counted(task_id: str, headers: Mapping[str, Any]) -> Iterator[int]:
    """Yield how often this task was delivered (RabbitMQ) or begun (Redis) before."""
    if not resources.broker_is_redis():
        yield delivery_count(headers)
        return
    earlier = _begin(task_id)
    try:
        yield earlier
    finally:
        _end(task_id)


def delivery_count(headers: Mapping[str, Any]) -> int:
    """Return RabbitMQ's count of earlier deliveries; 0 at the first one, where the header is missing."""
    count = headers.get("x-delivery-count", 0)
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 0


def _begin(task_id: str) -> int:
    key = keys.attempts(task_id)
    try:
        with resources.broker_redis().pipeline(transaction=True) as transaction:
            transaction.incr(key)
            transaction.expire(key, _KEPT_S)
            count = int(transaction.execute()[0])
    except redis.RedisError as error:
        # Counting guards against poison; without it the work itself is as good as ever.
        log.warning("attempts of task %s are not counted: %s", task_id, error)
        return 0
    return count - 1


def _end(task_id: str) -> None:
    try:
        resources.broker_redis().delete(keys.attempts(task_id))
    except redis.RedisError as error:
        log.warning("the count of attempts of task %s stays for a day: %s", task_id, error)
