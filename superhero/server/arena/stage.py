"""The fights that are shown: a few of those that go on, for as long as one can follow; of the rest, figures.

Pure: told what happened (`hear`) and what a game is like now (`show`), it says which games it wants to be
shown, and gives frames. A frame stands for itself, so that one that a viewer misses is made good by the next.

Who fights appears by public id and hero, never by name or token: events and snapshots hold nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from superhero.events import AttackMade, Event, GameCompleted, GameStarted
from superhero.game import rules
from superhero.server.arena.rate import Rate
from superhero.server.snapshot import COMPLETE, STARTED, Snapshot, Status

PLACES = 8
"""How many fights are shown at a time."""

ROWS = 6
"""How many fighters of one fight are shown; of more, those who stand come first."""

HOLD_S = 4.0
"""Seconds that a finished fight keeps its place against a new one."""

REPLACE_EVERY_S = HOLD_S / PLACES
"""Seconds between two fights that take a finished one's place, so that not all change at once."""

SILENT_S = 30.0
"""Seconds without a word after which a fight is looked at again: the word may have been lost."""

TOLD_S = 1.5
"""Seconds for which a blow is told: bots strike faster than frames come, and a frame may be missed."""

BLOWS = 24
"""How many blows of a fight are told at most."""


@dataclass(slots=True)
class Fighter:
    """One who fights; health in points, `full` what it began with."""

    hero_id: int
    health: int
    full: int


@dataclass(slots=True)
class Fight:
    """A fight that has a place. `blows` are the last ones and when they were heard of, `heard_s` the last."""

    fighters: dict[str, Fighter]
    status: Status
    turn: int
    heard_s: float
    blows: deque[tuple[float, AttackMade]] = field(default_factory=lambda: deque(maxlen=BLOWS))
    winner: str | None = None
    reason: str = ""


@dataclass(slots=True)
class Stage:
    """What is shown. `awaited` are games that were asked for, with what happened in them meanwhile."""

    fights: dict[str, Fight] = field(default_factory=dict)
    awaited: dict[str, list[Event]] = field(default_factory=dict)
    changed: bool = True
    completed: int = 0
    _replaced_s: float = -REPLACE_EVERY_S
    _attacks: Rate = field(default_factory=Rate)
    _completions: Rate = field(default_factory=Rate)

    def follows(self, game: str) -> bool:
        """Whether it matters what happens in a game, and not only that it does."""
        return game in self.fights or game in self.awaited

    def hear(self, game: str, events: Sequence[Event], now: float) -> bool:
        """Take in what a step of a game did; whether the game should be shown, so that it must be loaded.

        A step without an event is a player that left: who stands is not known until the game is loaded.
        """
        self.changed = True
        for event in events:
            if isinstance(event, AttackMade):
                self._attacks.count(now)
            elif isinstance(event, GameCompleted):
                self._completions.count(now)
                self.completed += 1
        if game in self.awaited:
            self.awaited[game].extend(events)
            return False
        fight = self.fights.get(game)
        if fight is None:
            begins = any(isinstance(event, AttackMade | GameStarted) for event in events)
            return begins and self.want(game, now)
        for event in events:
            _happened(fight, event, now)
        return not events and self.want(game, now)

    def want(self, game: str, now: float) -> bool:
        """Wait for a game to be shown, if there is a place for it; whether there is."""
        if game in self.awaited:
            return False
        if game not in self.fights:
            free = PLACES - len(self.fights) - sum(each not in self.fights for each in self.awaited)
            if free <= 0:
                if now - self._replaced_s < REPLACE_EVERY_S:
                    return False
                over = self._longest_over(now)
                if over is None:
                    return False
                del self.fights[over]
                self._replaced_s = now
        self.awaited[game] = []
        return True

    def show(self, game: str, snapshot: Snapshot | None, now: float) -> None:
        """Take in what an awaited game is like; None when there is none."""
        meanwhile = self.awaited.pop(game, [])
        self.changed = True
        if snapshot is None or snapshot.status not in (STARTED, COMPLETE):
            self.fights.pop(game, None)
            return
        state, before = snapshot.state, self.fights.get(game)
        # Turn order as it was at the start: everybody's place in it stays, whoever falls.
        users = list(before.fighters) if before else [*state.order, *state.fallen]
        fighters = {
            user: Fighter(each.hero_id, each.health if user in state.order else 0, _full(each))
            for user, each in ((user, state.fighters[user]) for user in users if user in state.fighters)
        }
        fight = Fight(fighters, snapshot.status, state.turn, now, winner=state.winner)
        if before:
            fight.blows.extend(before.blows)
        self.fights[game] = fight
        for event in meanwhile:
            _happened(fight, event, now)

    def silent(self, now: float) -> list[str]:
        """Return running fights of which nothing was heard for too long."""
        return [
            game
            for game, fight in self.fights.items()
            if fight.status == STARTED and now - fight.heard_s >= SILENT_S
        ]

    def heroes(self) -> set[int]:
        """Return the ids of the heroes on the stage."""
        return {each.hero_id for fight in self.fights.values() for each in fight.fighters.values()}

    def frame(self, names: Mapping[int, str], now: float) -> dict[str, Any]:
        """Return everything there is to see, ready for JSON."""
        self.changed = False
        return {
            "fights": [_shown(game, fight, names, now) for game, fight in self.fights.items()],
            "completed": self.completed,
            "attacks_per_s": round(self._attacks.per_s(now), 1),
            "games_per_minute": round(60 * self._completions.per_s(now), 1),
        }

    def _longest_over(self, now: float) -> str | None:
        over = [
            (fight.heard_s, game)
            for game, fight in self.fights.items()
            if fight.status == COMPLETE and now - fight.heard_s >= HOLD_S and game not in self.awaited
        ]
        return min(over)[1] if over else None


def _happened(fight: Fight, event: Event, now: float) -> None:
    """Take in what happened in a fight that is shown."""
    fight.heard_s = now
    if isinstance(event, AttackMade):
        fight.blows.append((now, event))
        # A fight that was loaded may know of it already.
        if event.turn > fight.turn:
            fight.turn = event.turn
            if event.enemy in fight.fighters:
                fight.fighters[event.enemy].health = event.enemy_health_post
    elif isinstance(event, GameCompleted):
        fight.status, fight.reason = COMPLETE, event.reason
        fight.winner = event.podium[0].user
        for user, fighter in fight.fighters.items():
            if user != fight.winner and event.reason != rules.REACHED_ROUND_LIMIT:
                fighter.health = 0


def _full(fighter: rules.Fighter) -> int:
    return fighter.health + fighter.damage_received


def _shown(game: str, fight: Fight, names: Mapping[int, str], now: float) -> dict[str, Any]:
    users = list(fight.fighters)
    if len(users) > ROWS:
        users = sorted(users, key=lambda user: fight.fighters[user].health == 0)[:ROWS]
    return {
        "game": game,
        "over": fight.status == COMPLETE,
        "turn": fight.turn,
        "size": len(fight.fighters),
        "standing": sum(each.health > 0 for each in fight.fighters.values()),
        "winner": fight.winner,
        "reason": fight.reason,
        "blows": [
            [blow.turn, blow.user, blow.enemy, blow.damage, blow.enemy_health_post]
            for heard_s, blow in fight.blows
            if now - heard_s < TOLD_S
        ],
        "fighters": [
            {
                "user": user,
                "hero": _name(names, fight.fighters[user].hero_id),
                "health": fight.fighters[user].health,
                "full": fight.fighters[user].full,
            }
            for user in users
        ],
    }


def _name(names: Mapping[int, str], hero_id: int) -> str:
    return names.get(hero_id, f"Hero {hero_id}")
