"""Encode and decode a record in one process or in several at a time: what cores can do together."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from multiprocessing.synchronize import Barrier

import orjson

from benchmarks.workload import EVENT

_RECORD = {"event": EVENT, "payload": {"order": 42, "customer": "c-0042317"}, "message": "paid " * 50}
_START_S = 60.0


def main() -> None:
    """Print one line of JSON: how often per second, all processes together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, required=True)
    parser.add_argument("--count", type=int, required=True, help="times in each process")
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
    rate = options.processes * options.count / (time.monotonic() - began)
    print(json.dumps({"per_second": rate}), flush=True)


def _compute(count: int, together: Barrier) -> None:
    together.wait(_START_S)
    for _ in range(count):
        orjson.loads(orjson.dumps(_RECORD))


if __name__ == "__main__":
    main()
