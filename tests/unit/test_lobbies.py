"""The figures of the lobbies, which another thread than the event loop's asks for."""

from __future__ import annotations

from typing import Any

from superhero.server.lobbies import Lobbies


class _Arriving:
    """The seats of a table, at which somebody sits down at another table while they are counted."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self._tables = tables

    @property
    def seats(self) -> set[str]:
        """Return one seat, when a game more is watched."""
        self._tables[f"game {len(self._tables)}"] = self
        return {"somebody"}


def test_connections_are_counted_while_games_come_and_go() -> None:
    async def load(game: str, user: str) -> Any:
        raise NotImplementedError

    lobbies = Lobbies("redis://127.0.0.1:1/0", load)
    tables: dict[str, Any] = {}
    tables["game"] = _Arriving(tables)
    lobbies._tables = tables
    assert len(lobbies) == 1
