"""From the logging call to a line in a file that anyone can read, at a thousand records a second."""

from __future__ import annotations

import re
import time
from datetime import datetime
from pathlib import Path

from benchmarks.figures import Figures, Plot, Table, Target, percentile
from benchmarks.stage import Stage, said_by
from benchmarks.suites.to_disk import CHANNEL, producer_argv
from superhero.errors import ServiceError
from superhero.ops.waiting import wait_until

RATE = 1_000
_LOOK_EVERY_S = 0.002
_LOGGED_AT = re.compile(rb'"time":"([^"]+)Z"')


def run(stage: Stage) -> Figures:
    """Log at an even rate, look into the files all the time, and compare times."""
    output, spool = stage.fresh_folder("latency"), stage.fresh_folder("spool")
    stage.worker(output, CHANNEL)
    count = RATE * stage.amount(15, 2)
    producer = stage.start("producer", producer_argv(stage, spool, count, "--rate", str(RATE)))
    watch = _Watch(output)
    # One more than counted: the first one is logged while the connection is being made.
    if not wait_until(lambda: watch.look() > count, 120.0, _LOOK_EVERY_S):
        raise ServiceError(f"{len(watch.latencies_s)} of {count} records came:\n{producer.tail()}")
    said_by(producer)
    return _figures([1000 * each for each in watch.latencies_s[1:]])


class _Watch:
    """Reads new lines and notes how long after their logging they were seen."""

    def __init__(self, folder: Path) -> None:
        self.latencies_s: list[float] = []
        self._folder = folder
        self._read: dict[Path, int] = {}

    def look(self) -> int:
        """Read what is new; return how many lines were seen by now."""
        for path in self._folder.glob("superhero/RECORDS/*.jsonl"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                new = file.read()
            whole = new[: new.rfind(b"\n") + 1]
            self._read[path] = self._read.get(path, 0) + len(whole)
            now = time.time()
            for logged_at in _LOGGED_AT.findall(whole):
                logged_s = datetime.fromisoformat(f"{logged_at.decode()}+00:00").timestamp()
                self.latencies_s.append(now - logged_s)
        return len(self.latencies_s)


def _figures(latencies_ms: list[float]) -> Figures:
    shares = (50, 90, 99, 99.9)
    values = [percentile(latencies_ms, share) for share in shares]
    curve = [(share, percentile(latencies_ms, share)) for share in (*range(0, 100, 2), 99, 99.5, 99.9)]
    return Figures(
        tables=[
            Table(
                "latency",
                f"Log call to visible line, {RATE:,} records/s, ms",
                ("median", "90 %", "99 %", "99.9 %", "longest"),
                [[*values, max(latencies_ms)]],
            )
        ],
        plots=[
            Plot(
                "latency",
                f"Log call to visible line at {RATE:,} records/s",
                "lines",
                "ms",
                {"superhero": curve},
                x_axis="percent of records",
            )
        ],
        targets=[
            Target("latency, median", "100 ms", f"{values[0]:.0f} ms", values[0] < 100),
            Target("latency, 99th percentile", "500 ms", f"{values[2]:.0f} ms", values[2] < 500),
        ],
    )
