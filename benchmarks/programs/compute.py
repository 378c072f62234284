"""Decode and encode the records of tasks, in one process or in several at a time: what cores can do together.

As a worker has them, a task's at a time, which fill a core's own cache: what cores share is shared here, too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from multiprocessing.synchronize import Barrier

import orjson

from benchmarks.workload import EVENT
from superhero.transport.flight import Limits

_TASK = orjson.dumps(
    [
        {"event": EVENT, "payload": {"order": number, "customer": "c-0042317"}, "message": "paid " * 50}
        for number in range(Limits.batch_records)
    ]
)
_START_S = 60.0


def main() -> None:
    """Print one line of JSON: how many records per second, all processes together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--count", type=int, required=True, help="tasks in each process")
    options = parser.parse_args()
    together = multiprocessing.Barrier(options.processes + 1)
    processes = [
        multiprocessing.Process(target=_compute, args=(options.count, together))
        for _ in range(options.processes)
    ]
    for process in processes:
        process.start()
    together.wait(_START_S)
    began = time.monotonic()
    for process in processes:
        process.join()
    records = options.processes * options.count * Limits.batch_records
    rate = records / (time.monotonic() - began)
    print(json.dumps({"per_second": rate}), flush=True)


def _compute(count: int, together: Barrier) -> None:
    together.wait(_START_S)
    for _ in range(count):
        for record in orjson.loads(_TASK):
            orjson.dumps(record)


if __name__ == "__main__":
    main()
