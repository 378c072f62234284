"""Who has played how well: from the datasets, and ratings where nobody wrote them down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from superhero.errors import ServiceError
from superhero.events import GameCompleted
from superhero.game.ratings import START_RATING, Ratings
from superhero.ops.tables import Tables

_PLAYED = """
SELECT user_token, count(*), count(*) FILTER (rank = 1), sum(damage_delivered)::UBIGINT,
       sum(damage_received)::UBIGINT
FROM GAME_PODIUM GROUP BY user_token
"""
_WRITTEN = "SELECT user_token, arg_max(rating, games) FROM PLAYERS GROUP BY user_token"
_COMPLETED = """
SELECT payload FROM RECORDS WHERE event = 'game.completed' ORDER BY time, payload->>'game_token'
"""


@dataclass(frozen=True, slots=True)
class Player:
    """A user as it stands: damage in points of health, `rating` in points."""

    user_token: str
    rating: int
    games: int
    won: int
    damage_delivered: int
    damage_received: int


def standings(tables: Tables) -> list[Player]:
    """Return everybody who finished a game, the highest rated first. Raise ServiceError without games."""
    if not tables.has("GAME_PODIUM"):
        raise ServiceError("there are no games yet: GAME_PODIUM is not there")
    ratings = _ratings(tables)
    players = [
        Player(str(user), ratings.get(user, START_RATING), *map(int, figures))
        for user, *figures in tables.ask(_PLAYED).rows
    ]
    return sorted(players, key=lambda player: (-player.rating, -player.won, player.user_token))


def _ratings(tables: Tables) -> Mapping[str, int]:
    """Return what PLAYERS says; where it is missing, the games replayed in the order of their time."""
    if tables.has("PLAYERS"):
        return {str(user): int(rating) for user, rating in tables.ask(_WRITTEN).rows}
    ratings = Ratings()
    if tables.has("RECORDS"):
        for (payload,) in tables.ask(_COMPLETED).rows:
            ratings.played(GameCompleted.from_payload(json.loads(payload)))
    return {user: rating.points for user, rating in ratings.now().items()}
