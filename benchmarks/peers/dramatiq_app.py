"""dramatiq on RabbitMQ: acknowledged when the actor returned; BENCH_CONFIRM=1 waits for each confirm."""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from benchmarks.peers.producing import produce
from benchmarks.peers.rows_to_disk import append

broker = RabbitmqBroker(
    url=os.environ["BENCH_BROKER_URL"], confirm_delivery=os.environ.get("BENCH_CONFIRM") == "1"
)
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=0, queue_name="peer-dramatiq", actor_name="write")
def write(rows: list) -> None:
    """Append the rows."""
    append(rows)


if __name__ == "__main__":
    produce(write.send)
