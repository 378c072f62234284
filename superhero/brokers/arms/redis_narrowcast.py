"""Redis narrowcast: a middleman listens and hands each record to one worker's own channel, in turn."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

from redis import Redis

from superhero.brokers.arms.arm import Write
from superhero.brokers.arms.redis_pubsub import RedisPubSub, listen


class RedisNarrowcast(RedisPubSub):
    """No double any more; a channel whose worker is dead still swallows its share."""

    name = "redis-narrowcast"
    title = "Redis narrowcast"
    settings = "A middleman takes from Pub/Sub and PUBLISHes round robin, a channel per worker."
    relays = True

    def consume(self, slot: int, write: Write, ready: Callable[[], None]) -> None:
        """Write what is said on this worker's channel."""
        listen(self.place.url, self._channel(slot), write, ready)

    def relay(self, ready: Callable[[], None]) -> None:
        """Hand on in turn, whether or not somebody listens."""
        channels = cycle([self._channel(slot) for slot in range(self.place.workers)])
        with Redis.from_url(self.place.url) as client:
            listen(self.place.url, self.place.queue, lambda row: client.publish(next(channels), row), ready)

    def _channel(self, slot: int) -> str:
        return f"{self.place.queue}.{slot}"
