"""The rules: `apply(state, action)` returns the next state and what happened.

Driven alike by the server, the headless simulator and the property tests. Nothing here knows about
sockets, Redis, tokens or time: users are opaque strings.

Rules (API v1): turns go round in a fixed order; an attack takes the attacker's attack off the enemy's
health, not below 0; at 0 the enemy is out; the last one standing wins; the first to fall gets rank N, the
next N-1, the winner 1. A player that leaves (`Forfeit`) falls at once. After `ROUND_LIMIT` rounds the
standing are ranked by health left, so that no game is endless.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from superhero.errors import RuleViolation
from superhero.events import AttackMade, Event, GameCompleted, GameStarted, Standing

ROUND_LIMIT = 100
"""A game ends after this many attacks per participant (attacks, not seconds)."""

LAST_ONE_STANDING = "last one standing"
REACHED_ROUND_LIMIT = "round limit"
ABANDONED = "abandoned"


class Fighter(NamedTuple):
    """One participant: its hero's `attack` and `health` in points and what it did so far.

    A named tuple, and no dataclass: two are made with every attack, at a quarter of the price.
    """

    user: str
    hero_id: int
    attack: int
    health: int
    rounds: int = 0
    damage_delivered: int = 0
    damage_received: int = 0

    # `_replace` would say the same and cost twice as much, a fifth of a volume run (superhero.headless).
    def having_struck(self, damage: int) -> Fighter:
        """Return the fighter after an attack of its own."""
        return Fighter(
            self.user,
            self.hero_id,
            self.attack,
            self.health,
            self.rounds + 1,
            self.damage_delivered + damage,
            self.damage_received,
        )

    def struck(self, damage: int) -> Fighter:
        """Return the fighter after an attack on it."""
        return Fighter(
            self.user,
            self.hero_id,
            self.attack,
            self.health - damage,
            self.rounds,
            self.damage_delivered,
            self.damage_received + damage,
        )


class GameState(NamedTuple):
    """A running or finished game; a named tuple as a Fighter is, for the same reason.

    `fighters` holds everybody in turn order, `order` the users still standing with the one whose turn it is
    first, `fallen` those who are out in the order in which they fell. `winner` is set once the game is over.
    `turn` is the number of attacks made.
    """

    game_token: str
    fighters: Mapping[str, Fighter]
    order: tuple[str, ...]
    fallen: tuple[str, ...] = ()
    turn: int = 0
    winner: str | None = None

    @property
    def whose_turn(self) -> str | None:
        """The user to move, or None when the game is over."""
        return None if self.winner is not None else self.order[0]


class Attack(NamedTuple):
    """`user` attacks `enemy`."""

    user: str
    enemy: str


@dataclass(frozen=True, slots=True)
class Forfeit:
    """`user` is gone or did not move in time: it falls without an attack."""

    user: str


Action = Attack | Forfeit


def start(game_token: str, fighters: Sequence[Fighter]) -> tuple[GameState, list[Event]]:
    """Begin a game of two or more fighters, who move in the order given."""
    if len(fighters) < 2:
        raise ValueError(f"a game needs 2 fighters or more, not {len(fighters)}")
    order = tuple(fighter.user for fighter in fighters)
    if len(set(order)) != len(order):
        raise ValueError(f"a user stands twice in the order {order}")
    state = GameState(game_token, {fighter.user: fighter for fighter in fighters}, order)
    heroes = {fighter.user: fighter.hero_id for fighter in fighters}
    return state, [GameStarted(game_token, list(order), heroes)]


def apply(state: GameState, action: Action) -> tuple[GameState, list[Event]]:
    """Return the state after `action` and its events; raise RuleViolation if it is not allowed."""
    if action.user not in state.fighters:
        raise RuleViolation("USER NOT IN GAME")
    if state.winner is not None:
        raise RuleViolation("GAME IS OVER")
    if isinstance(action, Forfeit):
        return _forfeit(state, action)
    return _attack(state, action)


def _attack(state: GameState, action: Attack) -> tuple[GameState, list[Event]]:
    user, against = action
    game_token, fighters, order, fallen, turn, _ = state
    if user != order[0] or against == user or against not in order:
        raise RuleViolation(_refusal(state, action))
    attacker, enemy = fighters[user], fighters[against]
    damage = min(attacker.attack, enemy.health)
    struck = enemy.struck(damage)
    turn += 1
    event = AttackMade(game_token, turn, user, against, damage, enemy.health, struck.health)
    fighters = {**fighters, user: attacker.having_struck(damage), against: struck}
    after = GameState(game_token, fighters, (*order[1:], user), fallen, turn)
    if struck.health == 0:
        after = _fall(after, against)
    return _end_if_over(after, [event], LAST_ONE_STANDING)


def _forfeit(state: GameState, action: Forfeit) -> tuple[GameState, list[Event]]:
    if action.user not in state.order:
        raise RuleViolation("USER IS OUT OF THE GAME")
    return _end_if_over(_fall(state, action.user), [], ABANDONED)


def _refusal(state: GameState, action: Attack) -> str:
    """Return what is wrong with an attack that is not allowed."""
    if action.enemy == action.user:
        return "ENEMY IS THE USER ITSELF"
    if action.enemy not in state.fighters:
        return "ENEMY NOT IN GAME"
    if action.user not in state.order:
        return "USER IS OUT OF THE GAME"
    if action.enemy not in state.order:
        return "ENEMY IS OUT OF THE GAME"
    return "NOT THE USER'S TURN"


def _fall(state: GameState, user: str) -> GameState:
    return state._replace(
        order=tuple(standing for standing in state.order if standing != user),
        fallen=(*state.fallen, user),
    )


def _end_if_over(state: GameState, events: list[Event], reason: str) -> tuple[GameState, list[Event]]:
    if len(state.order) > 1:
        if state.turn < ROUND_LIMIT * len(state.fighters):
            return state, events
        state, reason = _rank_by_health(state), REACHED_ROUND_LIMIT
    state = state._replace(winner=state.order[0])
    return state, [*events, GameCompleted(state.game_token, state.turn, reason, podium(state))]


def _rank_by_health(state: GameState) -> GameState:
    # Python's sort is stable: among equals the one whose turn is farthest off stands longer.
    by_health = sorted(state.order, key=lambda user: state.fighters[user].health)
    return state._replace(order=(by_health[-1],), fallen=(*state.fallen, *by_health[:-1]))


def podium(state: GameState) -> list[Standing]:
    """Return the standings of a finished game, winner first."""
    ranked = (*state.fallen, *state.order)[::-1]
    return [
        Standing(
            fighter.user,
            fighter.hero_id,
            rank,
            fighter.rounds,
            fighter.damage_delivered,
            fighter.damage_received,
        )
        for rank, fighter in enumerate((state.fighters[user] for user in ranked), start=1)
    ]
