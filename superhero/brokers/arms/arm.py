"""What every broker's arm must be able to do: publish a row, and have workers that write rows to files.

Killing is not an arm's business: the trial kills worker processes with all their children, the same for all.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

Row = Mapping[str, Any]
Publish = Callable[[Row], object]
Write = Callable[[bytes], object]
Broker = Literal["redis", "rabbitmq", "kafka", "ours"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where an arm works in one trial; its processes read it from a file, for a password may be in it.

    url      the broker; redis_url: a Redis besides, for the arm that needs one
    queue    the channel, queue or topic that is this trial's own
    folder   where rows go
    workers  how many there are at a time
    """

    arm: str
    url: str
    redis_url: str
    queue: str
    folder: str
    workers: int

    @property
    def file(self) -> Path:
        """The file that the processes are told of."""
        return Path(self.folder) / "place.json"

    def save(self) -> None:
        """Write it, readable by its owner only."""
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(asdict(self)), encoding="utf-8")


class Arm(ABC):
    """One way of getting records from a producer to workers.

    title       its name in tables
    broker      what must be there for it
    settings    how it is set up, a sentence
    patience_s  seconds without a new row after which rows that are missing count as lost
    settle_s    seconds without a new row, all being there after a kill, until no double comes any more
    relays      whether a middleman stands between the producer and the workers
    """

    name: ClassVar[str]
    title: ClassVar[str]
    broker: ClassVar[Broker]
    settings: ClassVar[str]
    patience_s: ClassVar[float] = 15.0
    settle_s: ClassVar[float] = 1.5
    relays: ClassVar[bool] = False

    def __init__(self, place: Place) -> None:
        self.place = place

    @abstractmethod
    def publisher(self) -> AbstractContextManager[Publish]:
        """Connect in the producer's process; yield what publishes a row; leaving waits until all is sent."""

    def consume(self, slot: int, write: Write, ready: Callable[[], None]) -> None:
        """Call `ready`, then write what comes, for ever; in the process of the `slot`th worker, from 0."""
        raise NotImplementedError

    def relay(self, ready: Callable[[], None]) -> None:
        """Pass on what comes, for ever; in the middleman's process."""
        raise NotImplementedError

    def worker_argv(self, slot: int) -> list[str]:
        """Return the command line of a worker; it says "ready" when it takes records."""
        return self.process_argv("consume", str(slot))

    def worker_env(self) -> dict[str, str]:
        """Return what a worker finds in its environment beside ours."""
        return {}

    def row_files(self) -> Iterable[Path]:
        """Return the files that hold a line of JSON per row."""
        return sorted(Path(self.place.folder).glob("*.jsonl"))

    def process_argv(self, role: str, *arguments: str) -> list[str]:
        """Return the command line of one of our processes, see superhero/brokers/process.py."""
        place = str(self.place.file)
        return [sys.executable, "-m", "superhero.brokers.process", role, place, *arguments]


def encoded(row: Row) -> bytes:
    """Return a row as it is sent and written: JSON, without a newline."""
    return json.dumps(row, separators=(",", ":")).encode()
