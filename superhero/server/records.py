"""Committed events and their record ids, and how they stand in the outbox.

A record's id is `<producer>:<sequence>`; the producer is one server process and channel, and the sequence is
given in the very step that commits the event (scripts/prelude.lua), so that it has no gap and a record that
is logged again, by this server or by another after this one died, has the same id, time, text and payload.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from superhero.errors import StoreError
from superhero.events import EVENTS, Event


@dataclass(frozen=True, slots=True)
class Record:
    """A committed event on its way to the log. `time_s` is unix time in seconds."""

    id: str
    event: Event
    time_s: float


class Producers:
    """The producers of one server: what a step must know to give out their next ids."""

    def __init__(self, server: str) -> None:
        self._server = server
        self._unused: dict[str, int] = {}

    def entries(self, events: Iterable[Event], time_s: float) -> list[dict[str, Any]]:
        """Return the events as `keep` in scripts/prelude.lua takes them."""
        return [self._entry(event, time_s) for event in events]

    def records(self, ids: Sequence[str], events: Sequence[Event], time_s: float) -> list[Record]:
        """Return the events with the ids that a step gave them, and remember that those are used."""
        for record_id in ids:
            producer, _, sequence = record_id.rpartition(":")
            self._unused[producer] = max(self._unused.get(producer, 0), int(sequence) + 1)
        return [Record(record_id, event, time_s) for record_id, event in zip(ids, events, strict=True)]

    def _entry(self, event: Event, time_s: float) -> dict[str, Any]:
        producer = f"sim-{self._server}-{event.channel.rpartition('.')[2]}"
        entry = {"event": event.name, "time": time_s, "payload": event.payload()}
        return {
            "producer": producer,
            "floor": self._unused.get(producer, 0),
            "entry": orjson.dumps(entry).decode(),
        }


def in_order(ids: Iterable[str]) -> list[str]:
    """Return record ids by producer and sequence."""
    return sorted(ids, key=_order)


def read_entry(record_id: str, entry: str) -> Record:
    """Return the record that an entry of an outbox stands for. Raise StoreError if it is none."""
    try:
        fields = orjson.loads(entry)
        event = EVENTS[fields["event"]].from_payload(fields["payload"])
        return Record(record_id, event, float(fields["time"]))
    except (ValueError, KeyError, TypeError) as error:
        raise StoreError(f"the outbox holds for {record_id} what is no event: {entry:.200}") from error


def _order(record_id: str) -> tuple[str, int]:
    producer, _, sequence = record_id.rpartition(":")
    return producer, int(sequence)
