"""Write a run's records into a sink as a worker's child does, batch by batch; print what that took.

The sink's URL is the variable BENCH_SINK. Only what the sink does is timed: every call of `write` returns
when its batch is safe.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sinks import open_sink
from superhero.transport.flight import Limits
from tasks.batches import sort_out, writes_of
from tasks.registry import REGISTRY, discover


def main() -> None:
    """The argument is a file of envelopes as `superhero simulate --to` writes it."""
    discover()
    seconds, cpu_s, rows = 0.0, 0.0, 0
    with open_sink(os.environ["BENCH_SINK"]) as sink:
        for envelopes in _batches(Path(sys.argv[1])):
            writes = writes_of(REGISTRY, sort_out(REGISTRY, envelopes).good)
            rows += sum(len(write.rows) for write in writes)
            began, cpu_began = time.monotonic(), time.process_time()
            sink.write(writes)
            seconds += time.monotonic() - began
            cpu_s += time.process_time() - cpu_began
    print(json.dumps({"rows": rows, "seconds": seconds, "cpu_s": cpu_s}), flush=True)


def _batches(path: Path) -> Iterator[list[object]]:
    """Yield the records in tasks as the transport makes them: a channel's, in order, so many at most."""
    held: dict[str, list[object]] = defaultdict(list)
    with path.open("rb") as lines:
        for line in lines:
            envelope = json.loads(line)
            batch = held[envelope["channel"]]
            batch.append(envelope)
            if len(batch) == Limits.batch_records:
                yield batch
                del held[envelope["channel"]]
    yield from held.values()


if __name__ == "__main__":
    main()
