"""Plain Celery: one task per record, publisher confirms, late acknowledgement, a durable queue, fsync.

What somebody gets who does the same with Celery's own means. `celery -A benchmarks.programs.plain_celery`.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import cache
from pathlib import Path

from celery import Celery
from kombu import Queue

from benchmarks.workload import Row, RowHandler, log_order, logger

# The worker's command line has no room for settings of ours.
_QUEUE = os.environ.get("BENCH_QUEUE", "plain")
_CONFIRM = os.environ.get("BENCH_CONFIRM", "1") == "1"

app = Celery("plain", broker=os.environ.get("BENCH_BROKER_URL"))
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_default_queue=_QUEUE,
    task_queues=[Queue(_QUEUE, queue_arguments={"x-queue-type": "quorum"})],
    worker_prefetch_multiplier=64,
    broker_transport_options={"confirm_publish": _CONFIRM},
    broker_connection_retry_on_startup=True,
)


@app.task(name="plain.write")
def write(row: Row) -> None:
    """Append a row to this process's file, safe before the acknowledgement."""
    fd = _file(os.getpid())
    os.write(fd, json.dumps(row).encode() + b"\n")
    os.fdatasync(fd)


@cache
def _file(process_id: int) -> int:
    folder = Path(os.environ["BENCH_OUTPUT"])
    folder.mkdir(parents=True, exist_ok=True)
    return os.open(folder / f"{process_id}.jsonl", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)


def main() -> None:
    """Produce: print one line of JSON with the times."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    with app.producer_pool.acquire(block=True) as producer:

        def send(rows: list[Row]) -> None:
            for row in rows:
                write.apply_async((row,), producer=producer)

        handler = RowHandler(f"plain-{os.getpid()}", 1, send)
        with logger("bench.plain", handler) as log:
            log_order(log, 0)
            began, cpu_began = time.monotonic(), time.process_time()
            for number in range(1, options.count + 1):
                log_order(log, number)
            ended = time.monotonic()
    print(json.dumps({"began": began, "ended": ended, "cpu_s": time.process_time() - cpu_began}), flush=True)


if __name__ == "__main__":
    main()
