"""A worker on aiormq as the published system has it: prefetch 1, a message per record, no confirms, not kept.

BENCH_CONFIRM=1 makes its messages persistent and waits for confirms.
"""

from __future__ import annotations

import asyncio
import os
import sys

import aiormq
import orjson
from aiormq.abc import DeliveredMessage

from benchmarks.peers.producing import produce_async
from benchmarks.peers.rows_to_disk import append
from benchmarks.workload import Row

_QUEUE = "peer-aiormq"
_CONFIRM = os.environ.get("BENCH_CONFIRM") == "1"


async def main() -> None:
    """Produce, or work with no arguments."""
    connection = await aiormq.connect(os.environ["BENCH_BROKER_URL"])
    channel = await connection.channel(publisher_confirms=_CONFIRM)
    await channel.queue_declare(_QUEUE, durable=True)
    if len(sys.argv) == 1:
        await _work(channel)
        return

    async def send(rows: list[Row]) -> None:
        properties = aiormq.spec.Basic.Properties(delivery_mode=2 if _CONFIRM else 1)
        await channel.basic_publish(orjson.dumps(rows), routing_key=_QUEUE, properties=properties)

    await produce_async(send)
    await connection.close()


async def _work(channel: aiormq.abc.AbstractChannel) -> None:
    async def write(message: DeliveredMessage) -> None:
        append(orjson.loads(message.body))
        await channel.basic_ack(message.delivery_tag or 0)

    await channel.basic_qos(prefetch_count=1)
    await channel.basic_consume(_QUEUE, write)
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
