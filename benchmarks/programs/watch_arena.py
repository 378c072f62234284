"""Watch the Arena with many viewers until told to end; print how much they were told."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time

from websockets.asyncio.client import connect


async def main(url: str, viewers: int) -> None:
    """Watch, and say so once everybody has heard something."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    told = [0, 0]  # messages, bytes
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        ready = [asyncio.Event() for _ in range(viewers)]
        tasks = [group.create_task(_watch(url, told, each)) for each in ready]
        for each in ready:
            await each.wait()
        print("watching", flush=True)
        await ending.wait()
        for task in tasks:
            task.cancel()
    seconds = (time.monotonic() - began) * viewers
    print(json.dumps({"messages_per_s": told[0] / seconds, "bytes_per_s": told[1] / seconds}), flush=True)


async def _watch(url: str, told: list[int], ready: asyncio.Event) -> None:
    async with connect(f"{url}/arena/live", compression=None, proxy=None) as viewer:
        async for message in viewer:
            told[0] += 1
            told[1] += len(message)
            ready.set()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
