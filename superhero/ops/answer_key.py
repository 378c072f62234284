"""The answer key of a run: what must stand in a sink that took it in, and nothing else.

| key | holds |
| --- | --- |
| `version` | of this format |
| `run` | the settings that the run was made with |
| `games` | games that were completed |
| `sent` | records sent, second sendings included |
| `producers` | producer -> records emitted and confirmed, as `superhero verify --expect` takes them |
| `quarantined` | ids of the records that no pipeline takes |
| `records` | channel -> event -> records in RECORDS |
| `datasets` | dataset -> rows, and a checksum for which their order is nothing (see checksums.py) |
| `winners` | user -> games won |
| `faults` | label -> ids of the records that met that fault |
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superhero.errors import SettingsError
from superhero.events import GameCompleted
from superhero.generator.faults import REFUSED, Delivery
from superhero.ops.checksums import Checksum
from superhero.ops.outlets import envelope
from superhero.ops.rows_of import rows_of

VERSION = 1


class AnswerKeyWriter:
    """Takes in what is sent. Memory: a digest per dataset, an id per fault, a number per user."""

    def __init__(self, run: Mapping[str, object]) -> None:
        """`run` says how it was made, JSON-ready."""
        self._run = run
        self._sent = 0
        self._games = 0
        self._emitted: Counter[str] = Counter()
        self._quarantined: list[str] = []
        self._records: dict[str, Counter[str]] = defaultdict(Counter)
        self._datasets: dict[str, Checksum] = defaultdict(Checksum)
        self._winners: Counter[str] = Counter()
        self._faults: dict[str, list[str]] = defaultdict(list)

    def add(self, delivery: Delivery) -> None:
        """Take in a delivery; a record's second one changes nothing but how many were sent."""
        self._sent += 1
        if delivery.again:
            return
        record = delivery.record
        self._emitted[record.record_id.rpartition(":")[0]] += 1
        for label in delivery.labels:
            self._faults[label].append(record.record_id)
        if REFUSED.intersection(delivery.labels):
            self._quarantined.append(record.record_id)
            return
        event = record.event
        self._records[event.channel][event.name] += 1
        if isinstance(event, GameCompleted):
            self._games += 1
            self._winners[event.podium[0].user] += 1
        for dataset, row in rows_of(envelope(record), event):
            self._datasets[dataset].add(row)

    def told(self) -> dict[str, Any]:
        """Return the answer key, JSON-ready and in an order of its own: the same for the same run."""
        return {
            "version": VERSION,
            "run": dict(self._run),
            "games": self._games,
            "sent": self._sent,
            "producers": {
                name: {"emitted": count, "confirmed": count} for name, count in sorted(self._emitted.items())
            },
            "quarantined": sorted(self._quarantined),
            "records": {
                channel: dict(sorted(events.items())) for channel, events in sorted(self._records.items())
            },
            "datasets": {
                name: {"rows": checksum.rows, "checksum": str(checksum)}
                for name, checksum in sorted(self._datasets.items())
            },
            "winners": dict(sorted(self._winners.items())),
            "faults": {label: sorted(ids) for label, ids in sorted(self._faults.items())},
        }


@dataclass(frozen=True, slots=True)
class AnswerKey:
    """What a sink must hold: rows and checksum by dataset, records by channel and event, and whose they are.

    `producers` says how many records each emitted: those numbers are the run's, all others are not.
    """

    datasets: Mapping[str, tuple[int, str]]
    records: Mapping[tuple[str, str], int]
    producers: Mapping[str, int]

    def knows(self, record_id: str) -> bool:
        """Tell whether a record is the run's."""
        producer, _, number = record_id.rpartition(":")
        return number.isdecimal() and int(number) < self.producers.get(producer, 0)


def read_answer_key(path: Path) -> AnswerKey | None:
    """Return the answer key in a file; None if it has none but what producers say. Raise SettingsError."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if "datasets" not in told:
            return None
        if told["version"] != VERSION:
            raise ValueError(f"version {told['version']!r:.20} is not {VERSION}")
        return AnswerKey(
            {
                str(name): (int(says["rows"]), str(says["checksum"]))
                for name, says in told["datasets"].items()
            },
            {
                (str(channel), str(event)): int(count)
                for channel, events in told["records"].items()
                for event, count in events.items()
            },
            {str(name): int(says["emitted"]) for name, says in told["producers"].items()},
        )
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path} is no answer key: {error!s:.200}") from error
    except (TypeError, KeyError, AttributeError) as error:
        raise SettingsError(
            f"{path} is no answer key: it has another shape; `superhero simulate --answer-key` writes one"
        ) from error
