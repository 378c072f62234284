"""Tell from a sink alone, by record ids, what was lost or doubled, as Jepsen's total-queue checker would.

A producer is one process's one channel and counts its records from 0 without a gap. So a number that is
missing below the largest is a record that was lost, and one that stands twice a record that was doubled. What
a sink cannot show, records lost from a producer's end, shows with what the producers say (`Expected`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from superhero.events import AttackMade, GameCompleted
from superhero.ops.datasets import Producer, Stream, files
from superhero.ops.expected import Expected, Promise
from superhero.ops.games import META, PODIUM, GameCount, Games
from superhero.ops.intervals import Intervals, by_producer
from superhero.ops.objects import damaged

RECORDS = "RECORDS"
ATTACKS = "ATTACKS"
_EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Line:
    """What became of one producer's records, or of many producers' together (then `producer` is empty).

    attempted     records emitted: as the producer says, else as its largest number shows
    acknowledged  of those, how many were safe as the producer knows; without its word all
    written       different records in RECORDS
    spooled       in a producer's spool, and neither in RECORDS nor in quarantine
    lost          acknowledged, and in none of these
    duplicated    rows beyond the first of a record
    recovered     not acknowledged, and yet there
    unexpected    in RECORDS, and never emitted
    quarantined   in quarantine and not in RECORDS
    examples      a few of the record ids that are missing or doubled
    producers     how many producers' records these are
    """

    producer: str
    channel: str
    attempted: int = 0
    acknowledged: int = 0
    written: int = 0
    spooled: int = 0
    lost: int = 0
    duplicated: int = 0
    recovered: int = 0
    unexpected: int = 0
    quarantined: int = 0
    examples: list[str] = field(default_factory=list)
    producers: int = 1

    @property
    def clean(self) -> bool:
        """Whether nothing is lost, doubled or unaccounted for; what is in quarantine is accounted for."""
        return not (self.lost or self.duplicated or self.unexpected)

    @property
    def not_promised(self) -> int:
        """How many of one producer's records were never acknowledged and are nowhere: not lost, not there."""
        return max(self.attempted - self.acknowledged - self.spooled, 0) - self.recovered


@dataclass(frozen=True, slots=True)
class AttackCount:
    """The stream ATTACKS beside RECORDS: attacks recorded, rows written, and how the two differ."""

    recorded: int
    written: int
    lost: int
    duplicated: int
    unexpected: int

    @property
    def clean(self) -> bool:
        """Whether every attack recorded is written once, and no other."""
        return not (self.lost or self.duplicated or self.unexpected)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a sink holds.

    torn        files whose last line has no end
    unreadable  files with lines that are no rows, and how many; a compacted file that was changed is one
    """

    producers: list[Line]
    games: GameCount
    attacks: AttackCount
    torn: list[str]
    unreadable: dict[str, int]

    @property
    def clean(self) -> bool:
        """Whether nothing was lost or doubled and all is accounted for."""
        lines_are = all(line.clean for line in self.producers)
        return lines_are and self.games.clean and self.attacks.clean and not (self.torn or self.unreadable)

    def channels(self) -> list[Line]:
        """Return a line per channel, by name."""
        names = sorted({line.channel for line in self.producers})
        return [
            together((line for line in self.producers if line.channel == name), channel=name)
            for name in names
        ]

    def total(self) -> Line:
        """Return one line of all."""
        return together(self.producers, channel="")


def together(lines: Iterable[Line], channel: str) -> Line:
    """Return the sum of lines; `producers` says of how many."""
    chosen = list(lines)
    figures = {name: sum(getattr(line, name) for line in chosen) for name in FIGURES}
    examples = [example for line in chosen for example in line.examples]
    count = sum(line.producers for line in chosen)
    return Line("", channel, **figures, examples=examples[:_EXAMPLES], producers=count)


FIGURES = (
    "attempted",
    "acknowledged",
    "written",
    "spooled",
    "lost",
    "duplicated",
    "recovered",
    "unexpected",
    "quarantined",
)


def size_bytes(folder: Path) -> int:
    """Return how many bytes `verify` reads of streams under `folder`; beside them nothing takes long."""
    return sum(path.stat().st_size for dataset in (RECORDS, ATTACKS) for path in files(folder, dataset))


def verify(
    folder: Path,
    expected: Expected | None = None,
    games: Games | None = None,
    on_read: Callable[[int], None] = lambda size_bytes: None,
) -> Verdict:
    """Read everything under `folder` and return the verdict; `games` then knows them by name.

    `on_read` is called with how many bytes of streams were read, block by block.

    Nobody may write there meanwhile. A million records a second; memory is taken per producer, gap and game.
    """
    expected, games = expected or Expected(), games or Games(folder)
    records = Stream(
        folder,
        RECORDS,
        count={AttackMade.channel: AttackMade.name},
        see={GameCompleted.channel: (GameCompleted.name, games.see)},
        on_read=on_read,
    )
    attacks = Stream(folder, ATTACKS, on_read=on_read)
    quarantined, spooled = by_producer(expected.quarantined), by_producer(expected.spooled)
    lines = [
        _line(
            name,
            records.producers.get(name, Producer()),
            expected.producers.get(name),
            quarantined.get(name, Intervals()),
            spooled.get(name, Intervals()),
        )
        for name in sorted({*records.producers, *expected.producers, *quarantined, *spooled})
    ]
    return Verdict(
        producers=lines,
        games=games.count(),
        attacks=_attacks(records, attacks),
        torn=records.torn + attacks.torn,
        unreadable=dict(records.unreadable + attacks.unreadable + _damaged(folder)),
    )


def _line(
    name: str, found: Producer, promise: Promise | None, quarantined: Intervals, spooled: Intervals
) -> Line:
    only_quarantined = quarantined.without(found.present)
    only_spooled = spooled.without(found.present).without(quarantined)
    there = Intervals()
    for part in (found.present, only_quarantined, only_spooled):
        for start, end in part:
            there.add(start, end)
    attempted = promise.emitted if promise else there.end
    acknowledged = min(promise.confirmed, attempted) if promise else attempted
    gaps = list(there.gaps(0, attempted))
    missing = sum(end - start for start, end in gaps)
    # What is in a spool is there, confirmed or not: it excuses nothing that is missing.
    unacknowledged = max(attempted - acknowledged - len(only_spooled), 0)
    return Line(
        producer=name,
        channel=", ".join(sorted(found.channels)),
        attempted=attempted,
        acknowledged=acknowledged,
        written=len(found.present),
        spooled=len(only_spooled),
        # Which ones were acknowledged only the producer knows: as many as can be are taken for those.
        lost=max(missing - unacknowledged, 0),
        duplicated=found.rows - len(found.present),
        recovered=max(unacknowledged - missing, 0),
        unexpected=sum(end - start for start, end in _beyond(found.present, attempted)),
        quarantined=len(only_quarantined),
        examples=_examples(name, gaps, found.doubled),
    )


def _damaged(folder: Path) -> Counter[str]:
    """Return compacted files that somebody changed."""
    return Counter(str(path) for dataset in (META, PODIUM) for path in damaged(folder, dataset))


def _beyond(present: Intervals, end: int) -> Iterable[tuple[int, int]]:
    return ((max(start, end), stop) for start, stop in present if stop > end)


def _examples(name: str, gaps: Iterable[tuple[int, int]], doubled: Iterable[int]) -> list[str]:
    lost = [f"{name}:{start}" if end == start + 1 else f"{name}:{start}..{end - 1}" for start, end in gaps]
    return [*lost[:_EXAMPLES], *(f"{name}:{number} twice" for number in doubled)][:_EXAMPLES]


def _attacks(records: Stream, attacks: Stream) -> AttackCount:
    nothing = Producer()
    recorded = written = lost = duplicated = unexpected = 0
    for name in records.producers.keys() | attacks.producers.keys():
        record, attack = records.producers.get(name, nothing), attacks.producers.get(name, nothing)
        doubled_records = record.rows - len(record.present)
        recorded += record.events
        written += len(attack.present)
        lost += max(record.events - doubled_records - len(attack.present), 0)
        duplicated += attack.rows - len(attack.present)
        unexpected += len(attack.present.without(record.present))
    return AttackCount(recorded, written, lost, duplicated, unexpected)
