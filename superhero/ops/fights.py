"""How a game went, read back from the datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from superhero.errors import ServiceError
from superhero.ops.tables import Tables
from superhero.roster import shipped

_ATTACKS = """
SELECT turn, user_token, enemy_token, damage::UBIGINT, enemy_health_prior::UBIGINT, enemy_health_post::UBIGINT
FROM ATTACKS WHERE game_token = ? ORDER BY turn
"""
_META = "SELECT user_token, superhero_id FROM GAME_META WHERE game_token = ?"
_PODIUM = """
SELECT user_token, rank, rounds, damage_delivered::UBIGINT, damage_received::UBIGINT
FROM GAME_PODIUM WHERE game_token = ? ORDER BY rank
"""
_HEROES = "SELECT superhero_id, arg_max(name, roster) FROM HEROES GROUP BY superhero_id"


@dataclass(frozen=True, slots=True)
class Blow:
    """One attack; `damage` and the enemy's health before and after in points."""

    turn: int
    user: str
    enemy: str
    damage: int
    health_prior: int
    health_post: int


@dataclass(frozen=True, slots=True)
class Place:
    """How one participant came out."""

    user: str
    rank: int
    rounds: int
    damage_delivered: int
    damage_received: int


@dataclass(frozen=True, slots=True)
class Fight:
    """A game: its blows by turn, its podium by rank, and everybody's hero as far as that is known."""

    game: str
    blows: Sequence[Blow]
    podium: Sequence[Place]
    heroes: Mapping[str, str]


def fight_of(tables: Tables, game: str) -> Fight:
    """Return a game that is in the datasets, finished or not. Raise ServiceError for one that is not."""
    blows = [Blow(*row) for row in _rows(tables, "ATTACKS", _ATTACKS, game)]
    podium = [Place(*row) for row in _rows(tables, "GAME_PODIUM", _PODIUM, game)]
    if not (blows or podium):
        raise ServiceError(
            f'no game {game!r:.80} is in the datasets; `superhero query "from GAME_META"` lists those there'
        )
    names = _names(tables)
    heroes = {
        str(user): names.get(int(hero), f"hero {hero}")
        for user, hero in _rows(tables, "GAME_META", _META, game)
    }
    return Fight(game, blows, podium, heroes)


def _rows(tables: Tables, dataset: str, sql: str, game: str) -> list[tuple[Any, ...]]:
    return list(tables.ask(sql, [game]).rows) if tables.has(dataset) else []


def _names(tables: Tables) -> Mapping[int, str]:
    """Return the heroes' names: as HEROES says, else as shipped with the package."""
    names = {hero.id: hero.name for hero in shipped()}
    if tables.has("HEROES"):
        names.update({int(hero): str(name) for hero, name in tables.ask(_HEROES).rows})
    return names
