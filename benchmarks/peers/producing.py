"""Log orders through a peer and say when: `python -m benchmarks.peers.<peer> COUNT BATCH`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable

from benchmarks.workload import Row, RowHandler, log_order, logger

Send = Callable[[list[Row]], object]
AsyncSend = Callable[[list[Row]], Awaitable[object]]

_AT_A_TIME = 100
"""How many messages of an asynchronous peer are on their way at a time."""


def produce(send: Send) -> None:
    """Log through a peer that sends in the calling thread."""
    count, batch = int(sys.argv[1]), int(sys.argv[2])
    handler = RowHandler(f"peer-{os.getpid()}", batch, send)
    with logger("bench.peer", handler) as log:
        log_order(log, 0)
        handler.flush()
        began, cpu_began = time.monotonic(), time.process_time()
        for number in range(1, count + 1):
            log_order(log, number)
        handler.flush()
    _say(began, cpu_began)


async def produce_async(send: AsyncSend) -> None:
    """Log through a peer that sends in an event loop; many messages at a time."""
    count, batch = int(sys.argv[1]), int(sys.argv[2])
    held: list[list[Row]] = []
    handler = RowHandler(f"peer-{os.getpid()}", batch, held.append)

    async def send_held() -> None:
        await asyncio.gather(*map(send, held))
        held.clear()

    with logger("bench.peer", handler) as log:
        log_order(log, 0)
        handler.flush()
        await send_held()
        began, cpu_began = time.monotonic(), time.process_time()
        for number in range(1, count + 1):
            log_order(log, number)
            if len(held) >= _AT_A_TIME:
                await send_held()
        handler.flush()
        await send_held()
    _say(began, cpu_began)


def _say(began: float, cpu_began: float) -> None:
    said = {"began": began, "ended": time.monotonic(), "cpu_s": time.process_time() - cpu_began}
    print(json.dumps(said), flush=True)
