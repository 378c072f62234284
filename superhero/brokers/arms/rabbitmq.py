"""RabbitMQ with a plain consumer, on a classic and on a quorum queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from amqp.exceptions import InternalError
from kombu import Connection, Consumer, Message, Queue

from superhero.brokers.arms.arm import Arm, Publish, Write, encoded

_PREFETCH = 100
_PLAIN = "durable, persistent messages, a confirm awaited for each; acknowledged when written, prefetch 100."


class RabbitClassic(Arm):
    """A classic queue."""

    name = "rabbitmq-classic"
    title = "RabbitMQ classic"
    broker = "rabbitmq"
    settings = f"Classic queue, {_PLAIN}"
    kind: ClassVar[str] = "classic"

    @contextmanager
    def publisher(self) -> Iterator[Publish]:
        """Publish a persistent message and wait for its confirm."""
        with Connection(self.place.url, transport_options={"confirm_publish": True}) as connection:
            producer = connection.Producer()
            self._queue()(producer.channel).declare()

            def publish(row: Any) -> None:
                producer.publish(
                    encoded(row),
                    routing_key=self.place.queue,
                    content_type="application/json",
                    content_encoding="binary",
                    delivery_mode=2,
                )

            yield publish

    def consume(self, slot: int, write: Write, ready: Callable[[], None]) -> None:
        """Write, then acknowledge."""
        while True:
            # RabbitMQ 3.10, where several come to a new quorum queue at one time.
            with suppress(InternalError):
                self._consume_all(write, ready)

    def _consume_all(self, write: Write, ready: Callable[[], None]) -> None:
        with Connection(self.place.url) as connection, connection.channel() as channel:
            channel.basic_qos(0, _PREFETCH, False)

            def take(message: Message) -> None:
                write(bytes(message.body))
                message.ack()

            with Consumer(channel, [self._queue()], on_message=take):
                ready()
                while True:
                    connection.drain_events()

    def _queue(self) -> Queue:
        return Queue(self.place.queue, durable=True, queue_arguments={"x-queue-type": self.kind})


class RabbitQuorum(RabbitClassic):
    """A quorum queue: replicated where there are more nodes than one."""

    name = "rabbitmq-quorum"
    title = "RabbitMQ quorum"
    settings = f"Quorum queue, {_PLAIN}"
    kind = "quorum"
