"""Faults on a dial: what a run's records meet on their way, each labelled, the same for the same seed.

| fault | what happens to a record | label, and what becomes of it |
| --- | --- | --- |
| late | it is sent up to LATE_S of the run's clock after its time | late: in the datasets |
| out_of_order | up to REORDERED_BY records overtake it | out_of_order: in the datasets |
| duplicated | it is sent twice, under its one record id | duplicated: in the datasets once |
| skewed_clock | its time is wrong by up to SKEWED_S, either way | skewed_clock: in the datasets, so dated |
| schema_changed | its payload has a field more, as a newer producer's | schema_added: in the datasets |
|  | or a field of it goes by another name | schema_renamed: in quarantine |
| malformed | a field of its payload is missing, or all are | malformed: in quarantine |

A record meets each fault by its share; of malformed and schema_changed it meets one, and likewise of late and
out_of_order.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta

from superhero.headless import Record

LATE_S = 300
REORDERED_BY = 10
SKEWED_S = 3600

DUPLICATED = "duplicated"
REFUSED = frozenset({"malformed", "schema_renamed"})
"""Labels of records that no pipeline takes."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The share of the records that meet each fault, 0 to 1."""

    late: float = 0.0
    out_of_order: float = 0.0
    duplicated: float = 0.0
    malformed: float = 0.0
    schema_changed: float = 0.0
    skewed_clock: float = 0.0

    def __post_init__(self) -> None:
        """Raise ValueError for what is no share."""
        for each in fields(self):
            share = getattr(self, each.name)
            if not 0 <= share <= 1:
                raise ValueError(f"the share of {each.name} is 0 to 1, not {share:g}")

    @property
    def some(self) -> bool:
        """Whether anything goes wrong at all."""
        return self != Shares()


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record as it is sent, when that is by the run's clock, and its faults' labels.

    `again` tells the second sending of a record that is sent twice.
    """

    record: Record
    due: datetime
    labels: tuple[str, ...] = ()
    again: bool = False


def deliver(records: Iterable[Record], shares: Shares, seed: int) -> Iterator[Delivery]:
    """Yield the records as they are sent; without faults in their order and at their time."""
    if not shares.some:
        yield from (Delivery(record, record.time) for record in records)
        return
    dice = random.Random(f"faults:{seed}").random
    queue = _Queue()
    for record in records:
        yield from queue.due(record.time)
        delivery = _changed(record, shares, dice)
        # Every share is asked of every record, so that one dial does not move another's faults.
        late, reordered, doubled = (
            dice() < share for share in (shares.late, shares.out_of_order, shares.duplicated)
        )
        delay_s, places, places_again = dice() * LATE_S, dice() * REORDERED_BY, dice() * REORDERED_BY
        if late:
            delivery = replace(delivery, labels=(*delivery.labels, "late"))
        elif reordered:
            delivery = replace(delivery, labels=(*delivery.labels, "out_of_order"))
        if doubled:
            delivery = replace(delivery, labels=(*delivery.labels, DUPLICATED))
            queue.hold_back(replace(delivery, again=True), 1 + int(places_again))
        if late:
            queue.delay(delivery, record.time + timedelta(seconds=delay_s))
        elif reordered:
            queue.hold_back(delivery, 1 + int(places))
        else:
            yield delivery
    yield from queue.rest()


class _Queue:
    """Records that are sent later than others: at a time, or after so many others."""

    def __init__(self) -> None:
        self._delayed: list[tuple[datetime, int, Delivery]] = []
        self._held_back: list[tuple[int, int, Delivery]] = []
        self._count = 0
        self._now: datetime | None = None

    def due(self, now: datetime) -> Iterator[Delivery]:
        """Yield what is sent before the record at `now`."""
        self._count += 1
        self._now = now
        while self._held_back and self._held_back[0][0] < self._count:
            yield replace(heapq.heappop(self._held_back)[2], due=now)
        while self._delayed and self._delayed[0][0] <= now:
            due, _, delivery = heapq.heappop(self._delayed)
            yield replace(delivery, due=due)

    def delay(self, delivery: Delivery, until: datetime) -> None:
        """Send a record at that time."""
        heapq.heappush(self._delayed, (until, self._count, delivery))

    def hold_back(self, delivery: Delivery, places: int) -> None:
        """Send a record after so many others."""
        # Twice the count: a record and its second sending may be held back at one time, and do not compare.
        order = 2 * self._count + delivery.again
        heapq.heappush(self._held_back, (self._count + places, order, delivery))

    def rest(self) -> Iterator[Delivery]:
        """Yield what is left once the last record was sent."""
        while self._held_back:
            delivery = heapq.heappop(self._held_back)[2]
            yield replace(delivery, due=self._now or delivery.due)
        while self._delayed:
            due, _, delivery = heapq.heappop(self._delayed)
            yield replace(delivery, due=due)


def _changed(record: Record, shares: Shares, dice: Callable[[], float]) -> Delivery:
    """Return a record whose content may have a fault."""
    malformed, changed, skewed = (
        dice() < share for share in (shares.malformed, shares.schema_changed, shares.skewed_clock)
    )
    way, skew_s = dice(), (2 * dice() - 1) * SKEWED_S
    labels: list[str] = []
    sent = record
    if malformed:
        labels.append("malformed")
        sent = sent._replace(instead=_malformed(record, way))
    elif changed:
        labels.append("schema_added" if way < 0.5 else "schema_renamed")
        sent = sent._replace(instead=_added(record) if way < 0.5 else _renamed(record))
    if skewed:
        labels.append("skewed_clock")
        sent = sent._replace(time=record.time + timedelta(seconds=skew_s))
    return Delivery(sent, record.time, tuple(labels))


def _malformed(record: Record, way: float) -> dict[str, object]:
    payload = record.event.payload()
    if way < 0.2:
        return {}
    del payload[list(payload)[int((way - 0.2) / 0.8 * len(payload))]]
    return payload


def _added(record: Record) -> dict[str, object]:
    return {**record.event.payload(), "sent_by": "a newer producer"}


def _renamed(record: Record) -> dict[str, object]:
    payload = record.event.payload()
    first, *others = payload
    return {f"{first}_v2": payload[first], **{name: payload[name] for name in others}}
