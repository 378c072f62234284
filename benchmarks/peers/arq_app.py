"""arq on Redis: a job is kept until it has run, and run again when its worker died."""

from __future__ import annotations

import asyncio
import os
from typing import Any, ClassVar

from arq import create_pool
from arq.connections import RedisSettings

from benchmarks.peers.producing import produce_async
from benchmarks.peers.rows_to_disk import append
from benchmarks.workload import Row

_REDIS = RedisSettings.from_dsn(os.environ["BENCH_REDIS_URL"])


async def write(context: dict[str, Any], rows: list[Row]) -> None:
    """Append the rows."""
    append(rows)


class WorkerSettings:
    """What `arq` reads."""

    functions: ClassVar = [write]
    redis_settings = _REDIS
    max_jobs = 100
    keep_result = 0
    poll_delay = 0.01


async def main() -> None:
    """Produce."""
    pool = await create_pool(_REDIS)
    await produce_async(lambda rows: pool.enqueue_job("write", rows))
    await pool.aclose()


if __name__ == "__main__":
    asyncio.run(main())
