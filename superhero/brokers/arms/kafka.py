"""Kafka by kombu's transport, where KAFKA_URL reaches one and confluent-kafka is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

from kombu import Connection, Consumer, Message, Queue

from superhero.brokers.arms.arm import Arm, Publish, Write, encoded

_WAIT_S = 1.0
_TIMEOUT_S = 3.0
_PORT = 9092


class Kafka(Arm):
    """A topic with a partition per worker, read by one group."""

    name = "kafka"
    title = "Kafka, by kombu"
    broker = "kafka"
    settings = "A partition per worker, flushed for each record; the offset committed when written."
    patience_s = 60.0  # a group waits 45 s for a member that was killed

    @contextmanager
    def publisher(self) -> Iterator[Publish]:
        """Produce, flushing each message as kombu's transport does."""
        with self._connection() as connection:
            producer = connection.Producer()
            Queue(self.place.queue)(producer.channel).declare()

            def publish(row: Any) -> None:
                producer.publish(
                    encoded(row).decode(),
                    routing_key=self.place.queue,
                    content_type="application/json",
                    content_encoding="utf-8",
                )

            yield publish

    def consume(self, slot: int, write: Write, ready: Callable[[], None]) -> None:
        """Write, then commit."""

        def take(message: Message) -> None:
            write(message.body.encode() if isinstance(message.body, str) else bytes(message.body))
            message.ack()

        with self._connection() as connection, connection.channel() as channel:
            assigned = False
            with Consumer(channel, [Queue(self.place.queue)], on_message=take):
                while True:
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=_WAIT_S)
                    # A group hands out its partitions seconds after a member came; kombu does not tell.
                    if not assigned and channel._get_consumer(self.place.queue).assignment():
                        assigned = True
                        ready()

    def _connection(self) -> Connection:
        options = {"num_partitions": self.place.workers, "wait_time_seconds": _WAIT_S}
        url = self.place.url.replace("kafka://", "confluentkafka://", 1)
        return Connection(url, transport_options=options)


def missing_kafka(url: str) -> str:
    """Return why there is no Kafka to talk to at a kafka:// URL, or nothing when there is one."""
    if not url:
        return "KAFKA_URL is not set"
    try:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient
    except ImportError:
        return "confluent-kafka is not installed: pip install -e '.[kafka]'"
    address = urlsplit(url)
    servers = f"{address.hostname}:{address.port or _PORT}"
    try:
        AdminClient({"bootstrap.servers": servers, "log_level": 0}).list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        return f"no Kafka answers at KAFKA_URL: {error.args[0].str()}"
    return ""
