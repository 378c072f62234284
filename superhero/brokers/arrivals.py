"""What arrives of a trial's records, as it is seen in the workers' files: which, how often, how late."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from superhero.brokers.records import number_and_time
from superhero.chaos.tail import Tail


class Arrivals:
    """Looks at files that are being appended to. Latency runs from sending to our seeing the line."""

    def __init__(self, row_files: Callable[[], Iterable[Path]]) -> None:
        self._row_files = row_files
        self._tail = Tail()
        self._rows: Counter[int] = Counter()
        self.latencies_s: list[float] = []
        """Of each record's first row."""
        self.last_at = 0.0
        """When the latest row was seen, by time.monotonic; a double counts."""
        self.last_new_at = 0.0
        """The same of the latest record that was not there before."""

    def look(self) -> None:
        """Read what came since the last look."""
        for path in self._row_files():
            for line in self._tail.lines(path):
                row = number_and_time(line)
                if row is None:
                    continue
                number, sent_at = row
                self.last_at = time.monotonic()
                if number not in self._rows:
                    self.latencies_s.append(time.time() - sent_at)
                    self.last_new_at = self.last_at
                self._rows[number] += 1

    @property
    def arrived(self) -> int:
        """How many different records are there."""
        return len(self._rows)

    @property
    def duplicated(self) -> int:
        """How many rows there are beyond each record's first."""
        return self._rows.total() - len(self._rows)
