"""huey on Redis: a task is off the queue before it is run."""

from __future__ import annotations

import os

from huey import RedisHuey

from benchmarks.peers.producing import produce
from benchmarks.peers.rows_to_disk import append

huey = RedisHuey("peer", url=os.environ["BENCH_REDIS_URL"], results=False)


@huey.task()
def write(rows: list) -> None:
    """Append the rows."""
    append(rows)


if __name__ == "__main__":
    from benchmarks.peers.huey_app import write as task  # under the name that the worker knows it by

    produce(task)
