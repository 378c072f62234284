"""Log orders at a rate until killed, noting in a file how many calls have returned."""

from __future__ import annotations

import argparse
import mmap
import time
from contextlib import closing
from itertools import count
from pathlib import Path

from benchmarks.workload import log_order, logger
from superhero.transport import CeleryHandler

NOTE_BYTES = 8


def main() -> None:
    """Print "warm" when the connection stands; the number stands in `--note`, little-endian, from then on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker-url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--spool-dir")
    parser.add_argument(
        "--rate", type=float, required=True, help="records per second; 0: only send what is left"
    )
    parser.add_argument("--note", type=Path, required=True)
    options = parser.parse_args()
    handler = CeleryHandler(broker_url=options.broker_url, spool_dir=options.spool_dir)
    with closing(handler), logger(options.channel, handler) as log, options.note.open("r+b") as file:
        handler.start()
        if not options.rate:
            time.sleep(3600)  # whoever started us looks at the broker, and ends us
        # Memory that the kernel writes back: what stands in it survives a kill -9.
        note = mmap.mmap(file.fileno(), NOTE_BYTES)
        log_order(log, 0)
        handler.flush(60.0)
        print("warm", flush=True)
        began = time.monotonic()
        for number in count(1):
            ahead = began + number / options.rate - time.monotonic()
            if ahead > 0.0:
                time.sleep(ahead)
            log_order(log, number)
            note[:] = number.to_bytes(NOTE_BYTES, "little")


if __name__ == "__main__":
    main()
