"""Hold a sink against the answer key of the run that it took in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from superhero.events import GameCompleted
from superhero.ops.answer_key import AnswerKey
from superhero.ops.checksums import Checksum
from superhero.ops.intervals import by_producer, put
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
    """What came of it, by dataset, and by channel and event in RECORDS.

    missing         records of the run that are not in RECORDS
    spooled         of those, how many producers still keep in their spools
    foreign         records in RECORDS that the key does not know: other runs wrote there, too
    foreign_games   games that were completed by those
    """

    datasets: list[Held]
    events: list[HeldEvent]
    missing: int = 0
    spooled: int = 0
    foreign: int = 0
    foreign_games: int = 0

    @property
    def clean(self) -> bool:
        """Whether the sink holds what the key says, and nothing else."""
        return all(each.same for each in self.datasets) and all(each.same for each in self.events)


def hold(
    reader: Reader,
    key: AnswerKey,
    tell: Tell = lambda dataset, rows: None,
    spooled: Iterable[str] = (),
) -> KeyVerdict:
    """Read every dataset of the key, and compare. The sink must hold that run alone.

    Some 100,000 rows a second, in memory for a handful of them; `tell` hears of every TELL_EVERY.
    `spooled` are the ids of records that producers still keep.
    """
    datasets, events = [], Counter[tuple[str, str]]()
    own = by_producer(())
    foreign = foreign_games = 0
    for name, (expected, checksum) in sorted(key.datasets.items()):
        found = Checksum()
        for row in reader.rows(name):
            found.add(row)
            if found.rows % TELL_EVERY == 0:
                tell(name, found.rows)
            if name == RECORDS:
                events[str(row.get("channel")), str(row.get("event"))] += 1
                record_id = str(row.get("record_id"))
                if key.knows(record_id):
                    put(own, record_id)
                else:
                    foreign += 1
                    foreign_games += row.get("event") == GameCompleted.name
        tell(name, found.rows)
        same = (found.rows, str(found)) == (expected, checksum)
        datasets.append(Held(name, expected, found.rows, same))
    names = sorted(key.records.keys() | events.keys())
    still_kept = by_producer(filter(key.knows, spooled))
    return KeyVerdict(
        datasets,
        [HeldEvent(*name, expected=key.records.get(name, 0), found=events[name]) for name in names],
        missing=max(sum(key.records.values()) - sum(map(len, own.values())), 0),
        spooled=sum(len(kept.without(own[name])) for name, kept in still_kept.items()),
        foreign=foreign,
        foreign_games=foreign_games,
    )
