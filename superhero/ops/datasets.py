"""Read JSON Lines datasets as anyone could: in blocks of whole lines, a million records a second.

Nothing here knows the code that wrote them, only how their files look: <folder>/superhero/<DATASET>/*.jsonl,
a row a line, in a stream `record_id` first (and `channel` second, where the dataset has one).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from superhero.errors import SettingsError
from superhero.ops.intervals import Intervals
from superhero.sink_urls import BETWEEN_URLS

Row = dict[str, Any]

_BLOCK_BYTES = 1 << 20
# A block begins with the end of a line before it, so that each of its lines looks alike to the pattern.
_LINE_END = b"}\n"
RECORD_ID = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_.-]{0,199}):(\d{1,19})")
_BEGINNING = re.compile(rb'\}\n\{"record_id":"([A-Za-z0-9_.-]+):\d{1,19}",("channel":"([A-Za-z0-9_.-]+)",)?')
_EXAMPLES = 10


def folder_of(sinks: str) -> Path:
    """Return the folder of a JSON Lines sink: that of its URL, or of the first such among several URLs.

    Raise SettingsError where there is none; no other sink can be read here.
    """
    for url in BETWEEN_URLS.split(sinks.strip()):
        scheme, _, rest = url.partition(":")
        path = rest.removeprefix("//")
        if scheme == "json" and path and (path == rest or path.startswith("/")):
            return Path(path)
    # The URL is not shown: that of a database may hold a password.
    raise SettingsError(
        "only JSON Lines sinks have a folder that can be read: write json:///absolute or json:relative"
    )


def files(folder: Path, dataset: str) -> list[Path]:
    """Return the files of a dataset, by name; none where the dataset does not exist."""
    return sorted((folder / "superhero" / dataset).glob("*.jsonl"))


def rows(path: Path) -> Iterator[Row]:
    """Yield a file's rows; a last line without its end is passed over. Raise ValueError if one is no row."""
    with path.open("rb") as lines:
        for line in lines:
            yield from rows_in(line, str(path))


def rows_in(lines: bytes, source: str) -> Iterator[Row]:
    """Yield the rows of whole lines that come from `source`, as `rows` does."""
    for line in lines.split(b"\n")[:-1]:
        row = json.loads(line)
        if not isinstance(row, dict):
            raise ValueError(f"{source}: {line!r:.80} is no row")
        yield row


@dataclass(slots=True)
class Producer:
    """What stands in a dataset of one producer's records.

    `rows` counts doubled rows too, `doubled` holds a few of their numbers; `events` counts the rows of the
    events that were asked for.
    """

    present: Intervals = field(default_factory=Intervals)
    channels: set[str] = field(default_factory=set)
    rows: int = 0
    doubled: list[int] = field(default_factory=list)
    events: int = 0


class Stream:
    """A stream dataset, counted. Memory is taken per producer and per gap, not per record.

    count   channel -> event whose rows are counted
    see     channel -> event whose rows are parsed, and who looks at each
    on_read is called with how many bytes were read, block by block
    """

    def __init__(
        self,
        folder: Path,
        dataset: str,
        count: Mapping[str, str] | None = None,
        see: Mapping[str, tuple[str, Callable[[Row], None]]] | None = None,
        on_read: Callable[[int], None] = lambda size_bytes: None,
    ) -> None:
        self.producers: dict[str, Producer] = {}
        self.torn: list[str] = []
        """Files whose last line has no end."""
        self.unreadable: Counter[str] = Counter()
        """Files with lines that are no rows, and how many."""
        self._count = count or {}
        self._see = see or {}
        self._on_read = on_read
        for path in files(folder, dataset):
            self._read(path)

    def _read(self, path: Path) -> None:
        rest = _LINE_END
        with path.open("rb", buffering=0) as file:
            while read := file.read(_BLOCK_BYTES):
                self._on_read(len(read))
                block = rest + read
                end = block.rfind(b"\n") + 1
                if end > len(_LINE_END):
                    self._take(block[:end], path)
                rest = _LINE_END + block[end:]
        if rest != _LINE_END:
            self.torn.append(str(path))

    def _take(self, block: bytes, path: Path) -> None:
        """Count a block whose lines are all one producer's and look alike at once, any other line by line."""
        found = _BEGINNING.match(block)
        if found is not None and block.endswith(_LINE_END):
            numbers = [int(number) for number in _pattern(found[1], found[2] or b"").findall(block)]
            # A line that does not look alike is none of the numbers, a line within a line is one more begun.
            if len(numbers) == block.count(b"\n") - 1 == block.count(b'{"record_id":"'):
                self._add(found[1].decode(), (found[3] or b"").decode(), numbers)
                self._look(block, found[1].decode(), (found[3] or b"").decode(), path)
                return
        for line in block[len(_LINE_END) : -1].split(b"\n"):
            self._take_line(line, path)

    def _look(self, block: bytes, producer: str, channel: str, path: Path) -> None:
        if channel in self._count:
            self.producers[producer].events += block.count(_marker(self._count[channel]))
        if channel in self._see:
            marker = _marker(self._see[channel][0])
            at = block.find(marker)
            while at >= 0:
                begin, end = block.rfind(b"\n", 0, at) + 1, block.index(b"\n", at)
                row = self._row(block[begin:end], path)
                if row is not None:
                    self._show(row, channel)
                at = block.find(marker, end)

    def _take_line(self, line: bytes, path: Path) -> None:
        row = self._row(line, path)
        if row is None:
            return
        found = RECORD_ID.fullmatch(str(row.get("record_id")))
        if found is None:
            self.unreadable[str(path)] += 1
            return
        channel = str(row.get("channel", ""))
        self._add(found[1], channel, [int(found[2])])
        if channel in self._count and row.get("event") == self._count[channel]:
            self.producers[found[1]].events += 1
        if channel in self._see:
            self._show(row, channel)

    def _row(self, line: bytes, path: Path) -> Row | None:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict):
            return row
        self.unreadable[str(path)] += 1
        return None

    def _show(self, row: Row, channel: str) -> None:
        event, look = self._see[channel]
        if row.get("event") == event:
            look(row)

    def _add(self, name: str, channel: str, numbers: list[int]) -> None:
        producer = self.producers.setdefault(name, Producer())
        producer.channels.add(channel)
        producer.rows += len(numbers)
        for start, end in _runs(numbers):
            if start < producer.present.end and len(producer.doubled) < _EXAMPLES:
                doubled = (number for number in range(start, end) if number in producer.present)
                producer.doubled.extend(islice(doubled, _EXAMPLES - len(producer.doubled)))
            producer.present.add(start, end)


@lru_cache(maxsize=1024)
def _pattern(producer: bytes, channel: bytes) -> re.Pattern[bytes]:
    beginning = re.escape(b'}\n{"record_id":"' + producer + b":")
    return re.compile(beginning + rb'(\d{1,19})",' + re.escape(channel))


@lru_cache(maxsize=16)
def _marker(event: str) -> bytes:
    """Return how a row of that event looks; in a text or a key the quotes would be escaped."""
    return b'"event":"%b","message":' % event.encode()


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the runs of numbers that follow on each other, as (first, number after the last)."""
    start = 0
    if numbers[-1] - numbers[0] == len(numbers) - 1 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        yield numbers[0], numbers[-1] + 1  # nearly always
        return
    for at in range(1, len(numbers) + 1):
        if at == len(numbers) or numbers[at] != numbers[at - 1] + 1:
            yield numbers[start], numbers[at - 1] + 1
            start = at
