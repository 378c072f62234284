"""rq on Redis, with the worker that does not fork for each job: its fastest."""

from __future__ import annotations

import os

from redis import Redis
from rq import Queue, SimpleWorker

from benchmarks.peers.producing import produce
from benchmarks.peers.rows_to_disk import append
from benchmarks.workload import Row

_QUEUE = "peer"


def main() -> None:
    """Produce, or work with no arguments."""
    import sys

    connection = Redis.from_url(os.environ["BENCH_REDIS_URL"])
    if len(sys.argv) == 1:
        print("ready", flush=True)
        SimpleWorker([_QUEUE], connection=connection).work(logging_level="WARNING")
        return
    queue = Queue(_QUEUE, connection=connection)

    def send(rows: list[Row]) -> None:
        queue.enqueue(append, rows, result_ttl=0)

    produce(send)


if __name__ == "__main__":
    main()
