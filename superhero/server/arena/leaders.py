"""The leaderboard: who is rated best, of those whose games were seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any

from superhero.events import Event, GameCompleted, PlayerRated

SHOWN = 10
"""How many players are shown."""

MOST = 20_000
"""How many players are kept; a page is not worth more memory, so beyond that all begin anew."""


@dataclass(slots=True)
class _Player:
    rating: int = 0
    games: int = 0
    won: int = 0
    damage: int = 0


@dataclass(slots=True)
class Leaders:
    """Everybody whose game was seen to end, by public id.

    The rating is of all games; `games` of a player, won ones and damage are of those that were seen.
    """

    games: int = 0
    _players: dict[str, _Player] = field(default_factory=dict)

    def hear(self, events: Sequence[Event]) -> None:
        """Take in what a step did."""
        for event in events:
            if isinstance(event, GameCompleted):
                self._played(event)
            elif isinstance(event, PlayerRated):
                self._players.setdefault(event.user, _Player()).rating = event.rating

    def best(self) -> list[dict[str, Any]]:
        """Return the best, the highest rated first, ready for JSON."""
        best = nsmallest(
            SHOWN, self._players.items(), key=lambda item: (-item[1].rating, -item[1].won, item[0])
        )
        return [
            {
                "user": user,
                "rating": player.rating,
                "games": player.games,
                "won": player.won,
                "damage": player.damage,
            }
            for user, player in best
        ]

    def _played(self, event: GameCompleted) -> None:
        if len(self._players) > MOST:
            self.games, self._players = 0, {}
        self.games += 1
        for standing in event.podium:
            player = self._players.setdefault(standing.user, _Player())
            player.games += 1
            player.won += standing.rank == 1
            player.damage += standing.damage_delivered
