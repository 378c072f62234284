"""Redis Pub/Sub: whoever listens gets every record, and a record that nobody listens for is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from redis import Redis

from superhero.brokers.arms.arm import Arm, Publish, Write, encoded


class RedisPubSub(Arm):
    """Every worker subscribes to the one channel."""

    name = "redis-pubsub"
    title = "Redis Pub/Sub"
    broker = "redis"
    settings = "PUBLISH per record; every worker subscribes to the one channel."
    patience_s = 1.5

    @contextmanager
    def publisher(self) -> Iterator[Publish]:
        """Publish to the channel."""
        with Redis.from_url(self.place.url) as client:
            client.ping()
            yield lambda row: client.publish(self.place.queue, encoded(row))

    def consume(self, slot: int, write: Write, ready: Callable[[], None]) -> None:
        """Write what is said on the channel."""
        listen(self.place.url, self.place.queue, write, ready)


def listen(url: str, channel: str, take: Write, ready: Callable[[], None]) -> None:
    """Call `take` with whatever is said on a channel, for ever."""
    with Redis.from_url(url, socket_timeout=None) as client, client.pubsub() as subscription:
        subscription.subscribe(channel)
        for message in subscription.listen():
            if message["type"] == "message":
                take(message["data"])
            else:
                ready()
