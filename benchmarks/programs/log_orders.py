"""Log orders through the transport, as fast as it goes or at a rate; say when, and what became of them."""

from __future__ import annotations

import argparse
import json
import logging
import time
from contextlib import closing
from dataclasses import asdict

from benchmarks.workload import log_order, logger
from superhero.transport import CeleryHandler

_FLUSH_S = 600.0


def main() -> None:
    """Print one line of JSON: when the first call began and the last returned, by the monotonic clock."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker-url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--spool-dir")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.0, help="records per second; 0: as fast as it goes")
    parser.add_argument("--hold-s", type=float, default=0.0, help="stay for so long after all is confirmed")
    options = parser.parse_args()
    handler = CeleryHandler(broker_url=options.broker_url, spool_dir=options.spool_dir)
    with closing(handler), logger(options.channel, handler) as log:
        log_order(log, 0)  # so that the connection stands
        handler.flush(_FLUSH_S)
        print("warm", flush=True)
        began, cpu_began = time.monotonic(), time.process_time()
        if options.rate:
            _paced(log, options.count, options.rate)
        else:
            for number in range(1, options.count + 1):
                log_order(log, number)
        ended = time.monotonic()
        flushed = handler.flush(_FLUSH_S)
        confirmed_at, cpu_s = time.monotonic(), time.process_time() - cpu_began
        time.sleep(options.hold_s)
        said = {
            "began": began,
            "ended": ended,
            "confirmed_at": confirmed_at,
            "cpu_s": cpu_s,
            "flushed": flushed,
            **asdict(handler.counters()),
        }
    print(json.dumps(said), flush=True)


def _paced(log: logging.Logger, count: int, rate: float) -> None:
    began = time.monotonic()
    for number in range(1, count + 1):
        ahead = began + number / rate - time.monotonic()
        if ahead > 0.0:
            time.sleep(ahead)
        log_order(log, number)


if __name__ == "__main__":
    main()
