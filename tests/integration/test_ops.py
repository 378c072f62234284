"""Services and processes, on real ones."""

from __future__ import annotations

import redis
from kombu import Connection

from superhero.ops.claims import MARK
from superhero.ops.reach import reach


def test_a_claimed_database_is_empty_and_of_ones_own(redis_url: str, redis_broker_url: str) -> None:
    assert redis_url != redis_broker_url
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys() == [MARK.encode()]
        client.set("a", 1)
    with redis.Redis.from_url(redis_broker_url) as client:
        assert client.keys() == [MARK.encode()]


def test_a_fresh_vhost_takes_messages(broker_url: str) -> None:
    with Connection(broker_url) as connection, connection.SimpleQueue("q") as queue:
        queue.put({"n": 1})
        message = queue.get(timeout=5)
        assert message.payload == {"n": 1}
        message.ack()
    assert reach(broker_url).facts["product"] == "RabbitMQ"
