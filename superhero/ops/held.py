"""Hold a sink against the answer key of the run that it took in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from superhero.ops.answer_key import AnswerKey
from superhero.ops.checksums import Checksum
from superhero.ops.readers import Reader

RECORDS = "RECORDS"

TELL_EVERY = 10_000

Tell = Callable[[str, int], None]
"""Is told a dataset and how many rows of it are read so far."""


@dataclass(frozen=True, slots=True)
class Held:
    """A dataset as it should be and as it is. `same` tells whether rows and checksum are the key's."""

    dataset: str
    expected: int
    found: int
    same: bool


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """A channel's records of an event as they should be and as they are."""

    channel: str
    event: str
    expected: int
    found: int

    @property
    def same(self) -> bool:
        """Whether there are as many as there should be."""
        return self.expected == self.found


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """What came of it, by dataset, and by channel and event in RECORDS."""

    datasets: list[Held]
    events: list[HeldEvent]

    @property
    def clean(self) -> bool:
        """Whether the sink holds what the key says, and nothing else."""
        return all(each.same for each in self.datasets) and all(each.same for each in self.events)


def hold(reader: Reader, key: AnswerKey, tell: Tell = lambda dataset, rows: None) -> KeyVerdict:
    """Read every dataset of the key, and compare. The sink must hold that run alone.

    Some 100,000 rows a second, in memory for a handful of them; `tell` hears of every TELL_EVERY.
    """
    datasets, events = [], Counter[tuple[str, str]]()
    for name, (expected, checksum) in sorted(key.datasets.items()):
        found = Checksum()
        for row in reader.rows(name):
            found.add(row)
            if found.rows % TELL_EVERY == 0:
                tell(name, found.rows)
            if name == RECORDS:
                events[str(row.get("channel")), str(row.get("event"))] += 1
        tell(name, found.rows)
        same = (found.rows, str(found)) == (expected, checksum)
        datasets.append(Held(name, expected, found.rows, same))
    names = sorted(key.records.keys() | events.keys())
    return KeyVerdict(
        datasets,
        [HeldEvent(*name, expected=key.records.get(name, 0), found=events[name]) for name in names],
    )
