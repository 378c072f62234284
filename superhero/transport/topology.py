"""WIRE: exchanges and queues, the same for whichever side comes first.

    superhero (topic) --routing key = channel--> queue <channel>      quorum, one per channel
        |  no queue bound for the key                |
        v                                            v  delivered DELIVERY_LIMIT times over, or rejected
    superhero.unrouted (fanout) --> superhero.unrouted    superhero.dead (topic) --> superhero.dead

Publisher and worker both declare what they use, with equal arguments, so that what is sent before the first
worker ever lived is kept. The arguments are constants and no settings: two sides that disagreed could not
both declare (RabbitMQ answers 406).
"""

from __future__ import annotations

from collections.abc import Iterable

from kombu import Exchange, Queue

DELIVERY_LIMIT = 8
"""Redeliveries after which the broker itself takes a message for poison and dead-letters it."""

EXCHANGE_NAME = "superhero"
UNROUTED_NAME = "superhero.unrouted"
DEAD_NAME = "superhero.dead"

_QUORUM = {"x-queue-type": "quorum"}
# at-least-once needs reject-publish: else a dead letter on its way is lost with the broker.
_DEAD_LETTERED = {
    "x-dead-letter-exchange": DEAD_NAME,
    "x-dead-letter-strategy": "at-least-once",
    "x-overflow": "reject-publish",
    "x-delivery-limit": DELIVERY_LIMIT,
}

EXCHANGE = Exchange(EXCHANGE_NAME, "topic", durable=True, arguments={"alternate-exchange": UNROUTED_NAME})
UNROUTED_EXCHANGE = Exchange(UNROUTED_NAME, "fanout", durable=True)
DEAD_EXCHANGE = Exchange(DEAD_NAME, "topic", durable=True)

# RabbitMQ 4 drops what was looked at 20 times unless it is told otherwise, and 3.x knows no "never".
_LOOKED_AT_FOR_EVER = {"x-delivery-limit": 1_000_000_000}

DEAD_QUEUE = Queue(
    DEAD_NAME,
    DEAD_EXCHANGE,
    routing_key="#",
    durable=True,
    queue_arguments={**_QUORUM, **_LOOKED_AT_FOR_EVER},
)
UNROUTED_QUEUE = Queue(
    UNROUTED_NAME,
    UNROUTED_EXCHANGE,
    routing_key="",
    durable=True,
    queue_arguments={**_QUORUM, **_DEAD_LETTERED},
)


def channel_queue(channel: str) -> Queue:
    """Return the queue of a channel: durable, quorum, dead-lettered, bound by the channel's exact name."""
    return Queue(
        channel,
        EXCHANGE,
        routing_key=channel,
        durable=True,
        queue_arguments={**_QUORUM, **_DEAD_LETTERED},
    )


def worker_queues(channels: Iterable[str]) -> list[Queue]:
    """Return what a worker consumes: a queue per channel, and what no queue was bound for."""
    return [*(channel_queue(channel) for channel in sorted(set(channels))), UNROUTED_QUEUE]
