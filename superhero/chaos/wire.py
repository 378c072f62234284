"""Messages as the broker holds them: plant, copy and shuffle them, whatever they are.

All by py-amqp on the default exchange, where the routing key is the queue's name, with confirms. Nothing here
decodes a body.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import amqp
from kombu import Connection

from superhero.errors import ServiceError
from superhero.ops.watching import Watching

COPY_HEADER = "x-chaos-copy"
_TRACE_EXCHANGE = "amq.rabbitmq.trace"
_TIMEOUT_S = 10.0
_DRAIN_S = 0.2


@dataclass(frozen=True, slots=True)
class Planted:
    """A message to put into a queue: `name` says what is wrong with it, `properties` are AMQP's."""

    name: str
    body: bytes
    properties: dict[str, Any]


@contextmanager
def open_channel(url: str) -> Iterator[amqp.Channel]:
    """Yield a channel with confirms."""
    with Connection(
        url, connect_timeout=_TIMEOUT_S, transport_options={"confirm_publish": True}
    ) as connection:
        yield connection.default_channel


def plant(url: str, queue: str, messages: Iterable[Planted]) -> None:
    """Put messages into a queue; when this returns, the broker has them."""
    with open_channel(url) as channel:
        for message in messages:
            properties = {"delivery_mode": 2, **message.properties}
            channel.basic_publish(amqp.Message(message.body, **properties), "", queue)


def shuffle(url: str, queues: Sequence[str], rng: random.Random) -> int:
    """Take all messages that wait in `queues`, put them back in any order, and return how many."""
    total = 0
    with open_channel(url) as channel:
        for queue in queues:
            taken = list(iter(lambda name=queue: channel.basic_get(name), None))  # type: ignore[misc]
            for message in rng.sample(taken, len(taken)):
                channel.basic_publish(amqp.Message(message.body, **message.properties), "", queue)
            for message in taken:
                channel.basic_ack(message.delivery_tag)
            total += len(taken)
    return total


class Doubler(Watching):
    """While it is open, every message that is published comes to its queue twice. A context manager.

    It reads RabbitMQ's firehose, to which a vhost copies all that is published once `trace_on` was said.
    """

    def __init__(self, url: str) -> None:
        super().__init__("doubler")
        self._url = url
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self.copied = 0
        """Messages sent a second time so far."""

    def start(self) -> None:
        """Begin to copy. Raise ServiceError if the firehose cannot be read."""
        super().start()
        if not self._ready.wait(_TIMEOUT_S):
            raise ServiceError(f"the firehose could not be read: {self._failure}")

    def _watch(self) -> None:
        try:
            with open_channel(self._url) as channel:
                name = channel.queue_declare(exclusive=True).queue
                channel.queue_bind(name, _TRACE_EXCHANGE, "publish.#")
                traced: deque[amqp.Message] = deque()
                channel.basic_consume(name, no_ack=True, callback=traced.append)
                self._ready.set()
                while not self._over.is_set():
                    _drain(channel)
                    while traced:  # not in the callback: waiting for a confirm, it would call itself
                        self._copy(channel, traced.popleft())
        except (OSError, amqp.AMQPError) as failure:
            self._failure = failure

    def _copy(self, channel: amqp.Channel, traced: amqp.Message) -> None:
        properties = dict(traced.headers["properties"])
        headers = dict(properties.pop("headers", {}))
        if COPY_HEADER in headers:
            return
        message = amqp.Message(traced.body, application_headers={**headers, COPY_HEADER: 1}, **properties)
        for queue in traced.headers["routed_queues"]:
            channel.basic_publish(message, "", queue)
            self.copied += 1


def _drain(channel: amqp.Channel) -> None:
    try:
        channel.connection.drain_events(timeout=_DRAIN_S)
    except TimeoutError:
        return
