"""What a server remembers of running games: bounded, and of each game what was committed last."""

from __future__ import annotations

import pytest

from superhero.game.rules import Fighter, GameState
from superhero.server import known as known_module
from superhero.server.known import KnownGames
from superhero.server.snapshot import COMPLETE, STARTED, Snapshot, Status


def snapshot(game: str, size: int, version: int = 1, status: Status = STARTED) -> Snapshot:
    """Return a game of `size` fighters."""
    users = tuple(f"{game}-{number}" for number in range(size))
    fighters = {user: Fighter(user, 1, 10, 100) for user in users}
    return Snapshot(version, status, size, False, GameState(game, fighters, users, (), 0, None))


def test_the_games_committed_longest_ago_go_first_and_large_ones_count_for_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(known_module, "MOST_FIGHTERS", 100)
    games = KnownGames()
    for number in range(40):
        games.committed(snapshot(f"small-{number}", 2), 1)
    games.committed(snapshot("small-0", 2, version=2), 1)
    assert games.get("small-1", 1) is not None
    games.committed(snapshot("large", 60), 1)
    remembered = [number for number in range(40) if games.get(f"small-{number}", 1)]
    assert remembered == [0, *range(21, 40)] and games.get("large", 1) is not None


def test_games_that_are_over_or_forgotten_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_module, "MOST_FIGHTERS", 10)
    games = KnownGames()
    for number in range(50):
        games.committed(snapshot("mine", 2, version=number), 1)
        games.committed(snapshot(f"over-{number}", 5), 1)
        games.committed(snapshot(f"over-{number}", 5, version=2, status=COMPLETE), 1)
        games.committed(snapshot(f"forgotten-{number}", 5), 1)
        games.forget(f"forgotten-{number}")
        games.forget("never known")
    assert games.get("mine", 1) == snapshot("mine", 2, version=49)
    assert games.get("mine", 2) is None
