"""FastStream on RabbitMQ, by aio-pika with its confirms; a quorum queue, acknowledged when handled."""

from __future__ import annotations

import asyncio
import os

from faststream import FastStream
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue

from benchmarks.peers.producing import produce_async
from benchmarks.peers.rows_to_disk import append
from benchmarks.workload import Row

broker = RabbitBroker(
    os.environ["BENCH_BROKER_URL"], default_channel=Channel(prefetch_count=100), logger=None
)
app = FastStream(broker, logger=None)
queue = RabbitQueue("peer-faststream", durable=True, queue_type=QueueType.QUORUM)


@broker.subscriber(queue)
async def write(rows: list) -> None:
    """Append the rows."""
    append(rows)


async def main() -> None:
    """Produce."""

    async def send(rows: list[Row]) -> None:
        await broker.publish(rows, queue=queue, persist=True)

    async with broker:
        await broker.declare_queue(queue)
        await produce_async(send)


if __name__ == "__main__":
    asyncio.run(main())
