"""What a server knows of running games without asking Redis: the game as it committed it last.

Another server may have gone on since; a commit, which compares versions, tells. What is known holds for the
connection on which it was committed: a Redis that came back without its last second might count other steps
by the same versions.
"""

from __future__ import annotations

from superhero.server.snapshot import STARTED, Snapshot

MOST_FIGHTERS = 100_000
"""Fighters in all games remembered, some 400 bytes each: a game may have two of them, or hundreds."""


class KnownGames:
    """Games by their tokens. A `wire` is the number of a connection, see link.py; 0 is none."""

    def __init__(self) -> None:
        self._games: dict[str, tuple[int, Snapshot]] = {}
        self._fighters = 0

    def get(self, game: str, wire: int) -> Snapshot | None:
        """Return a game as it was committed last, on this connection."""
        known_by, snapshot = self._games.get(game, (0, None))
        return snapshot if wire and known_by == wire else None

    def is_void(self, snapshot: Snapshot, wire: int) -> bool:
        """Whether `get` returned it, by a connection that there is no more."""
        known_by, known = self._games.get(snapshot.state.game_token, (0, None))
        return known is snapshot and known_by != wire

    def committed(self, snapshot: Snapshot, wire: int) -> None:
        """Remember a game, unless it is over."""
        game = snapshot.state.game_token
        self.forget(game)
        if snapshot.status == STARTED:
            self._games[game] = wire, snapshot
            self._fighters += len(snapshot.state.fighters)
            while self._fighters > MOST_FIGHTERS:
                self.forget(next(iter(self._games)))  # the one that was remembered first

    def forget(self, game: str) -> None:
        """Know nothing of a game."""
        if game in self._games:
            _, snapshot = self._games.pop(game)
            self._fighters -= len(snapshot.state.fighters)
