"""A hero: a record as Super Hero API serves it, and the two numbers the rules need of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Self

from superhero.errors import RosterError

HEALTH_STATS = ("intelligence", "strength", "durability")
ATTACK_STATS = ("speed", "power", "combat")
MAX_STAT = 100
MAX_ID = (1 << 16) - 1

_UNKNOWN = (None, "", "null")  # Super Hero API's ways to say that it does not know
_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Hero:
    """One hero. `id` fits uint16, `health` and `attack` are points; `record` is what the source said."""

    id: int
    health: int
    attack: int
    record: Mapping[str, Any]

    @classmethod
    def from_record(cls, record: object) -> Self:
        """Read a record of Super Hero API. Raise RosterError naming the hero and the field that is wrong.

        A power stat that is "null", "0" or missing counts as 1 (API v1); other fields but id and name are
        carried along as they are.
        """
        if not isinstance(record, Mapping):
            raise RosterError(f"a hero is a JSON object, not {record!r:.80}")
        hero_id = _id(record.get("id"))
        if not (isinstance(record.get("name"), str) and record["name"].strip()):
            raise RosterError(f"hero {hero_id}: name must be text, not {record.get('name')!r:.80}")
        stats = record.get("powerstats")
        if not isinstance(stats, Mapping):
            raise RosterError(f"hero {hero_id}: powerstats must be a JSON object, not {stats!r:.80}")
        health = 10 * prod(_stat(hero_id, stats, name) for name in HEALTH_STATS)
        attack = prod(_stat(hero_id, stats, name) for name in ATTACK_STATS)
        return cls(hero_id, max(health, 1), max(attack, 1), record)

    @property
    def name(self) -> str:
        """The hero's name."""
        return str(self.record["name"])

    def stats(self) -> dict[str, int]:
        """Return the six power stats as the rules take them: 1 for one that is unknown."""
        said: Mapping[str, Any] = self.record["powerstats"]
        return {name: _stat(self.id, said, name) for name in (*HEALTH_STATS, *ATTACK_STATS)}

    def stored(self) -> str:
        """Return the JSON kept in Redis: the record, and `powerstats.health` and `.attack` as numbers."""
        stats = {**self.record["powerstats"], "health": self.health, "attack": self.attack}
        return _encode_json({**self.record, "id": str(self.id), "powerstats": stats})


def read_records(records: object, source: str) -> list[Hero]:
    """Return the heroes of a parsed JSON list, in its order.

    Raise RosterError, which begins with `source`, for what is no list of heroes and for an id twice in it.
    """
    if not isinstance(records, list):
        raise RosterError(f"{source}: must be a JSON list of heroes, not {type(records).__name__}")
    heroes = []
    for position, record in enumerate(records, start=1):
        try:
            heroes.append(Hero.from_record(record))
        except RosterError as error:
            raise RosterError(f"{source}, entry {position}: {error}") from error
    refuse_duplicates(heroes, source)
    return heroes


def refuse_duplicates(heroes: Iterable[Hero], source: str) -> None:
    """Raise RosterError if two heroes have the same id."""
    seen: dict[int, Hero] = {}
    for hero in heroes:
        if hero.id in seen:
            raise RosterError(
                f"{source}: id {hero.id} stands for {seen[hero.id].name!r:.80} and for {hero.name!r:.80}; "
                "give one of them another"
            )
        seen[hero.id] = hero


def _id(value: object) -> int:
    number = _whole(value)
    if number is None or number > MAX_ID:
        raise RosterError(f"id must be a whole number from 0 to {MAX_ID}, not {value!r:.80}")
    return number


def _stat(hero_id: int, stats: Mapping[str, Any], name: str) -> int:
    value = stats.get(name)
    if value in _UNKNOWN:
        return 1
    number = _whole(value)
    if number is None or number > MAX_STAT:
        raise RosterError(
            f"hero {hero_id}: {name} must be a whole number from 0 to {MAX_STAT} or null, not {value!r:.80}"
        )
    return max(number, 1)


def _whole(value: object) -> int | None:
    """Return a whole number that is not negative, be it a number or its digits as text; else None."""
    if isinstance(value, bool):
        return None  # bool is an int to Python and no number to us
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        return int(value)
    return None
