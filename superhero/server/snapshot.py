"""A game as it stands in Redis at one version, and the step that leads to the next. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson

from superhero.errors import StoreError
from superhero.events import Event, PlayerRated
from superhero.game.ratings import UNRATED, Rating
from superhero.game.rules import Fighter, GameState

Status = Literal["OPEN", "STARTED", "COMPLETE", "TIMED OUT"]

OPEN: Status = "OPEN"
STARTED: Status = "STARTED"
COMPLETE: Status = "COMPLETE"
TIMED_OUT: Status = "TIMED OUT"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A game at one version.

    size   how many play
    due    its deadline has passed
    state  as the rules know it; while the game is open, `order` holds who joined, the first one first
    """

    version: int
    status: Status
    size: int
    due: bool
    state: GameState

    @property
    def full(self) -> bool:
        """Whether as many have joined as play."""
        return len(self.state.fighters) == self.size

    @classmethod
    def from_reply(cls, game: str, reply: Sequence[Any]) -> Snapshot:
        """Read what scripts/load.lua returned. Raise StoreError for what we did not write."""
        try:
            version, status, size, due, turn, order, fallen, rows = reply
            users = [*order, *fallen]
            if status not in get_args(Status) or len(users) != len(rows):
                raise ValueError(f"status {status!r}, {len(users)} users, {len(rows)} fighters")
            fighters = {
                user: Fighter(user, *(int(value) for value in row))
                for user, row in zip(users, rows, strict=True)
            }
            winner = order[0] if status == COMPLETE else None
            state = GameState(game, fighters, tuple(order), tuple(fallen), turn, winner)
            return cls(int(version), status, int(size), due == 1, state)
        except (ValueError, TypeError, IndexError) as error:
            raise StoreError(f"game {game} in Redis is not what we wrote: {error}") from error


@dataclass(frozen=True, slots=True)
class News:
    """What a step tells all lobbies of a game.

    turn_of   whose turn it is, or None
    fighters  everybody in turn order, told once, at the start; None afterwards
    """

    version: int
    status: Status
    turn_of: str | None
    fighters: tuple[Fighter, ...] | None = None

    @classmethod
    def of(cls, snapshot: Snapshot) -> News:
        """Return all there is to tell about a game as it is."""
        state = snapshot.state
        # Who is to move and those after it, then who fell: turn order as far as it can still be told.
        fighters = tuple(state.fighters[user] for user in (*state.order, *state.fallen))
        turn_of = state.whose_turn if snapshot.status == STARTED else None
        return cls(snapshot.version, snapshot.status, turn_of, fighters)

    def encode(self) -> str:
        """Return it as JSON."""
        fighters = None
        if self.fighters is not None:
            fighters = [[each.user, each.hero_id, each.attack, each.health] for each in self.fighters]
        return orjson.dumps([self.version, self.status, self.turn_of, fighters]).decode()

    @classmethod
    def decode(cls, text: str | bytes) -> News:
        """Read it from JSON. Raise StoreError for what is none of ours."""
        try:
            version, status, turn_of, rows = orjson.loads(text)
            fighters = None if rows is None else tuple(Fighter(*row) for row in rows)
            return cls(version, status, turn_of, fighters)
        except (ValueError, TypeError) as error:
            raise StoreError(f"a feed brought what we did not send: {text!r:.200}") from error


def step(
    before: Snapshot,
    after: GameState,
    status: Status,
    events: Sequence[Event],
    log: str | None,
    deadline_s: float | None,
) -> dict[str, Any]:
    """Return what scripts/commit.lua needs, but for the entries: only fighters that changed are written."""
    version = before.version + 1
    fighters = tuple(after.fighters.values()) if before.status == OPEN and status == STARTED else None
    return {
        "status": status,
        "order": after.order,
        "fallen": after.fallen,
        "fighters": [_row(fighter) for fighter in changed(before.state, after)],
        "ratings": [_rating_row(event) for event in events if isinstance(event, PlayerRated)],
        "log": log,
        "deadline_s": deadline_s,
        "feed": News(version, status, after.whose_turn if status == STARTED else None, fighters).encode(),
    }


def changed(before: GameState, after: GameState) -> list[Fighter]:
    """Return the fighters that are not what they were."""
    return [fighter for user, fighter in after.fighters.items() if fighter is not before.fighters.get(user)]


def read_rating(text: str | None) -> Rating:
    """Return a rating as it stands in Redis; None: there is none. Raise StoreError for what is none."""
    if text is None:
        return UNRATED
    try:
        points, games = text.split(" ")
        return Rating(int(points), int(games))
    except ValueError as error:
        raise StoreError(f"a rating in Redis is not what we wrote: {text!r:.80}") from error


def _rating_row(event: PlayerRated) -> list[str]:
    prior = f"{event.rating_prior} {event.games - 1}" if event.games > 1 else ""
    return [event.user, prior, f"{event.rating} {event.games}"]


def _row(fighter: Fighter) -> list[str | int]:
    return [
        "health",
        fighter.health,
        "rounds",
        fighter.rounds,
        "damage_delivered",
        fighter.damage_delivered,
        "damage_received",
        fighter.damage_received,
    ]
