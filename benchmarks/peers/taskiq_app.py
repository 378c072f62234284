"""taskiq on RabbitMQ, by aio-pika with its confirms; acknowledged when the task returned."""

from __future__ import annotations

import asyncio
import os

from taskiq_aio_pika import AioPikaBroker

from benchmarks.peers.producing import produce_async
from benchmarks.peers.rows_to_disk import append

broker = AioPikaBroker(os.environ["BENCH_BROKER_URL"], qos=100)


@broker.task(task_name="write")
async def write(rows: list) -> None:
    """Append the rows."""
    append(rows)


async def main() -> None:
    """Produce."""
    await broker.startup()
    await produce_async(write.kiq)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
