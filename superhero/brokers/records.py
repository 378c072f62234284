"""The records of a trial: what a headless run logs, from a seed, numbered. The same for every broker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count as counting
from itertools import islice
from typing import Any

from superhero.events import HeroesListed
from superhero.headless import play
from superhero.roster import shipped

_GAMES_AT_ONCE = 1000


def records(seed: int, count: int) -> list[dict[str, Any]]:
    """Return the first `count` records of a seed's run, and of those after it where one run is too short."""

    def endless() -> Iterator[dict[str, Any]]:
        heroes = shipped()
        for more in counting():
            for record in play(seed + more, _GAMES_AT_ONCE, heroes):
                event = record.event
                if isinstance(event, HeroesListed):
                    continue  # few and huge: they are no measure of anything
                yield {"record_id": record.record_id, "event": event.name, "payload": record.payload()}

    return [{"number": number, **row} for number, row in enumerate(islice(endless(), count))]


def number_and_time(line: str) -> tuple[int, float] | None:
    """Return which record a written line is, and when it was sent (unix time); None for any other line."""
    try:
        row = json.loads(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    body = row if "number" in row else row.get("payload")
    if not isinstance(body, dict) or "number" not in body:
        return None
    return int(body["number"]), float(body["sent"])
