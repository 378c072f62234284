"""Forge the shipped heroes from a seed: the same seed gives the same bytes on every Python.

Stats come from a trade of fighting each. They are drawn again until the hero is a fair match for an average
one, between MIN_BLOWS and MAX_BLOWS attacks either way, so that games are neither one blow nor endless. As
with Super Hero API, of a few heroes some stat is not known.

`python -m superhero.roster.forge` writes the file anew.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from superhero.roster import words
from superhero.roster.hero import Hero

SEED = 20_000
COUNT = 600

AVERAGE_HEALTH = 1_250_000
AVERAGE_ATTACK = 400_000
MIN_BLOWS = 1.6
MAX_BLOWS = 6.0
UNKNOWN_STATS = 0.02
"""Share of heroes of whom one stat is "null"."""

STATS = ("intelligence", "strength", "speed", "durability", "power", "combat")
_STYLES = {
    # In the order of STATS: what a hero of this style has on average.
    "scholar": (85, 32, 60, 45, 80, 60),
    "wall": (40, 70, 55, 75, 75, 75),
    "striker": (42, 52, 80, 48, 78, 90),
    "runner": (55, 40, 95, 45, 62, 72),
    "wielder": (60, 38, 65, 48, 95, 65),
    "allrounder": (52, 50, 72, 52, 72, 76),
}
_SPREAD = 18

T = TypeVar("T")


class _Dice:
    """Choices built on `random()` alone, whose sequence Python promises never to change."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed).random

    def below(self, limit: int) -> int:
        return int(self._random() * limit)

    def pick(self, things: Sequence[T]) -> T:
        return things[self.below(len(things))]

    def chance(self, share: float) -> bool:
        return self._random() < share


def forge(seed: int = SEED, count: int = COUNT) -> Iterator[dict[str, Any]]:
    """Yield the records of `count` heroes, ids from 1, no name twice."""
    dice = _Dice(seed)
    names: set[str] = set()
    for hero_id in range(1, count + 1):
        name = _name(dice)
        while name in names:
            name = _name(dice)
        names.add(name)
        yield _record(dice, hero_id, name)


def as_text(records: Iterator[dict[str, Any]]) -> str:
    """Return the text of a hero file: a JSON list with a line per hero."""
    lines = (json.dumps(record, ensure_ascii=False, separators=(",", ":")) for record in records)
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _record(dice: _Dice, hero_id: int, name: str) -> dict[str, Any]:
    given = name.split(" ", 1)[0]
    stats = _stats(dice)
    return {
        "id": str(hero_id),
        "name": name,
        "powerstats": stats,
        "biography": _biography(dice, given),
        "appearance": _appearance(dice),
        "work": {"occupation": dice.pick(words.TRADES), "base": f"{_town(dice)}, {dice.pick(words.PLACES)}"},
        "connections": {
            "group-affiliation": dice.pick(words.GUILDS),
            "relatives": f"{_given(dice)} ({dice.pick(words.KIN)})",
        },
        "image": {"url": ""},
    }


def _name(dice: _Dice) -> str:
    return f"{_given(dice)} {dice.pick(words.EPITHETS)}"


def _given(dice: _Dice) -> str:
    return dice.pick(words.NAME_HEADS) + dice.pick(words.NAME_HEARTS) + dice.pick(words.NAME_TAILS)


def _town(dice: _Dice) -> str:
    return dice.pick(words.TOWN_HEADS) + dice.pick(words.TOWN_TAILS)


def _stats(dice: _Dice) -> dict[str, str]:
    style = dice.pick(tuple(_STYLES.values()))
    stats = _drawn(dice, style)
    while not _fair(stats):
        stats = _drawn(dice, style)
    if dice.chance(UNKNOWN_STATS):
        stats[dice.pick(STATS)] = "null"
    return stats


def _drawn(dice: _Dice, style: Sequence[int]) -> dict[str, str]:
    around = (average + dice.below(2 * _SPREAD + 1) - _SPREAD for average in style)
    return {name: str(min(max(value, 5), 100)) for name, value in zip(STATS, around, strict=True)}


def _fair(stats: dict[str, str]) -> bool:
    hero = Hero.from_record({"id": 0, "name": "?", "powerstats": stats})
    taken, needed = hero.health / AVERAGE_ATTACK, AVERAGE_HEALTH / hero.attack
    return MIN_BLOWS <= taken <= MAX_BLOWS and MIN_BLOWS <= needed <= MAX_BLOWS


def _biography(dice: _Dice, given: str) -> dict[str, Any]:
    return {
        "full-name": f"{given} {_given(dice)}",
        "alter-egos": "-",
        "aliases": [dice.pick(words.EPITHETS)],
        "place-of-birth": _town(dice),
        "first-appearance": f"The Forge, heat {1 + dice.below(999)}",
        "publisher": "Superhero Forge",
        "alignment": dice.pick(words.ALIGNMENTS),
    }


def _appearance(dice: _Dice) -> dict[str, Any]:
    height_cm, weight_kg = 150 + dice.below(66), 48 + dice.below(93)
    feet, inches = divmod(round(height_cm / 2.54), 12)
    return {
        "gender": dice.pick(words.GENDERS),
        "race": dice.pick(words.PEOPLES),
        "height": [f"{feet}'{inches}", f"{height_cm} cm"],
        "weight": [f"{round(weight_kg * 2.2046)} lb", f"{weight_kg} kg"],
        "eye-color": dice.pick(words.EYE_COLORS),
        "hair-color": dice.pick(words.HAIR_COLORS),
    }


def main() -> None:
    """Write the shipped file anew."""
    Path(__file__).with_name("heroes.json").write_text(as_text(forge()), encoding="utf-8")


if __name__ == "__main__":
    main()
