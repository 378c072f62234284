"""Hold the files of games against the records that say how the games ended."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from superhero.ops.datasets import Row, rows_in
from superhero.ops.objects import Objects

META = "GAME_META"
PODIUM = "GAME_PODIUM"

SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True, slots=True)
class GameCount:
    """What became of games.

    completed   games with a record of their completion
    ingested    of those, how many stand in GAME_META and GAME_PODIUM as their record says
    lost        of those, how many are missing there, or a row of them is
    duplicated  games that were completed twice, or of which a row stands twice
    wrong       games that stand otherwise than their record says
    unexpected  games that stand there without a record
    """

    completed: int
    ingested: int
    lost: int
    duplicated: int
    wrong: int
    unexpected: int

    @property
    def clean(self) -> bool:
        """Whether every game stands there once and as its record says, and no other."""
        return self.ingested == self.completed and not (self.duplicated or self.unexpected)


class Games:
    """Looks at a game's files as its record comes by. Memory: a name per game."""

    def __init__(self, folder: Path) -> None:
        self._objects = {dataset: Objects(folder, dataset) for dataset in (META, PODIUM)}
        self._seen: set[str] = set()
        self.ingested: set[str] = set()
        self.lost: set[str] = set()
        self.duplicated: set[str] = set()
        self.wrong: set[str] = set()

    def see(self, record: Row) -> None:
        """Look at the files of the game whose completion `record` tells."""
        payload = record.get("payload")
        game = payload.get("game_token") if isinstance(payload, dict) else None
        if not (isinstance(game, str) and SAFE_NAME.fullmatch(game)):
            self.lost.add(f"{game!r:.80}")  # no file can have that name
            return
        if game in self._seen:
            self.duplicated.add(game)
            return
        self._seen.add(game)
        try:
            meta, podium = _expected(game, record["payload"]["podium"])
        except (KeyError, TypeError):
            self.wrong.add(game)
            return
        self._judge(game, (self._rows(META, game), meta), (self._rows(PODIUM, game), podium))

    def count(self) -> GameCount:
        """Return what was seen, and count what stands there beyond it."""
        standing = {key for objects in self._objects.values() for key in objects.keys()}  # noqa: SIM118
        return GameCount(
            completed=len(self._seen),
            ingested=len(self.ingested),
            lost=len(self.lost),
            duplicated=len(self.duplicated),
            wrong=len(self.wrong),
            unexpected=len(standing - self._seen),
        )

    def _judge(self, game: str, *datasets: tuple[list[Row], list[Row]]) -> None:
        counts = [(_by_user(found), _by_user(expected), found) for found, expected in datasets]
        if any(len(found) > len(by_user) for by_user, _, found in counts):
            self.duplicated.add(game)
        if any(expected.keys() - by_user.keys() for by_user, expected, _ in counts):
            self.lost.add(game)
        elif any(by_user != expected for by_user, expected, _ in counts):
            self.wrong.add(game)
        else:
            self.ingested.add(game)

    def _rows(self, dataset: str, game: str) -> list[Row]:
        try:
            return list(rows_in(self._objects[dataset].read(game), f"{dataset} {game}"))
        except (FileNotFoundError, ValueError):
            return []  # not there, or not to be read: either way its rows are missing


def _by_user(found: Sequence[Row]) -> dict[str, Row]:
    return {str(row.get("user_token")): row for row in found}


def _expected(game: str, podium: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    meta = [
        {"game_token": game, "user_token": standing["user"], "superhero_id": standing["hero_id"]}
        for standing in podium
    ]
    facts = ("rounds", "rank", "damage_delivered", "damage_received")
    places = [
        {"game_token": game, "user_token": standing["user"], **{fact: standing[fact] for fact in facts}}
        for standing in podium
    ]
    return meta, places
