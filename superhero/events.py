"""WIRE: what the simulator says happened, one immutable dataclass per event.

An event travels as `extra={"event": e.name, "payload": e.payload()}` of an ordinary log record and comes
back with `from_payload`. Everything a pipeline writes is in the event: it is the state as of that moment,
so that it can be ingested long after Redis has moved on. `user` is always a public id, never a token.

Changing a field bumps `SCHEMA_VERSION`; golden samples stand under tests/contract/golden. A payload may have
more fields than we know, from a newer version: they are passed over here and stay in the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeVar, dataclass_transform

SCHEMA_VERSION = 1

CHANNEL_LOGIN = "superhero.login"
CHANNEL_LOBBY = "superhero.lobby"
CHANNEL_GAME = "superhero.game"
CHANNELS = (CHANNEL_LOGIN, CHANNEL_LOBBY, CHANNEL_GAME)


T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def _immutable(cls: type[T]) -> type[T]:
    """Make a dataclass that the type checker takes for frozen.

    Frozen at run time, too, it would take four times as long to make, and one is made for every record.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)


@_immutable
class Event:
    """Base of all events: `name` is the wire name, `channel` the logger it is logged to."""

    name: ClassVar[str]
    channel: ClassVar[str]

    def payload(self) -> dict[str, Any]:
        """Return the event as a JSON-ready dict; its lists and dicts are the event's own, not copies."""
        # `asdict` would copy field by field, which costs more than the rules themselves.
        fields: tuple[str, ...] = self.__match_args__
        return {field: getattr(self, field) for field in fields}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Build the event from a payload. Raise KeyError, TypeError or ValueError if it does not fit."""
        return cls(**_fields(cls, payload))


def _fields(
    kind: type[Event] | type[Standing] | type[HeroFacts], payload: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the fields of a dataclass out of a payload that may have more of them."""
    names: tuple[str, ...] = kind.__match_args__
    return {name: payload[name] for name in names}


@_immutable
class UserLoggedIn(Event):
    """A user logged in; `created` when seen for the first time."""

    name: ClassVar[str] = "user.logged_in"
    channel: ClassVar[str] = CHANNEL_LOGIN

    user: str
    created: bool


@_immutable
class GameStarted(Event):
    """A game filled up and began; `users` in turn order, `heroes` user -> hero id."""

    name: ClassVar[str] = "game.started"
    channel: ClassVar[str] = CHANNEL_LOBBY

    game_token: str
    users: list[str]
    heroes: dict[str, int]


@_immutable
class AttackMade(Event):
    """One attack. `turn` counts the attacks of the game from 1; health and damage in points, uint64."""

    name: ClassVar[str] = "game.attack"
    channel: ClassVar[str] = CHANNEL_GAME

    game_token: str
    turn: int
    user: str
    enemy: str
    damage: int
    enemy_health_prior: int
    enemy_health_post: int


@_immutable
class Standing:
    """How one participant came out of a game. `rank` 1 is the winner; `rounds` the attacks it made."""

    user: str
    hero_id: int
    rank: int
    rounds: int
    damage_delivered: int
    damage_received: int


@_immutable
class GameCompleted(Event):
    """A game ended with one winner; this record asks for its ingestion. Exactly one per completed game.

    `attacks` is the number of AttackMade events of the game; `reason` is "last one standing",
    "round limit" or "abandoned" (the others did not take their turns in time).
    """

    name: ClassVar[str] = "game.completed"
    channel: ClassVar[str] = CHANNEL_LOBBY

    game_token: str
    attacks: int
    reason: str
    podium: list[Standing]

    def payload(self) -> dict[str, Any]:
        """Return the event as a JSON-ready dict, a dict per standing in it."""
        return {
            "game_token": self.game_token,
            "attacks": self.attacks,
            "reason": self.reason,
            "podium": [
                {field: getattr(standing, field) for field in Standing.__match_args__}
                for standing in self.podium
            ],
        }

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Build the event with its podium. Raise KeyError, TypeError or ValueError if it does not fit."""
        fields = _fields(cls, payload)
        podium = [Standing(**_fields(Standing, row)) for row in fields.pop("podium")]
        return cls(podium=podium, **fields)


@_immutable
class GameTimedOut(Event):
    """A game did not fill within the lobby timeout; `joined` of `participants` were there."""

    name: ClassVar[str] = "game.timed_out"
    channel: ClassVar[str] = CHANNEL_LOBBY

    game_token: str
    participants: int
    joined: list[str]


@_immutable
class PlayerRated(Event):
    """A participant's rating after a game, in points; it is logged after the game's completion.

    `games` is how many it has played so far, this one included; `rank` 1 is the winner.
    """

    name: ClassVar[str] = "player.rated"
    channel: ClassVar[str] = CHANNEL_LOBBY

    game_token: str
    user: str
    rank: int
    rating_prior: int
    rating: int
    games: int


@_immutable
class HeroFacts:
    """What the rules know of a hero: its powers, 1 to 100, and its health and attack in points."""

    id: int
    name: str
    intelligence: int
    strength: int
    speed: int
    durability: int
    power: int
    combat: int
    health: int
    attack: int


@_immutable
class HeroesListed(Event):
    """Some of the heroes that games are played with; `roster` names the whole list by its content."""

    name: ClassVar[str] = "heroes.listed"
    channel: ClassVar[str] = CHANNEL_LOBBY

    roster: str
    part: int
    heroes: list[HeroFacts]

    def payload(self) -> dict[str, Any]:
        """Return the event as a JSON-ready dict, a dict per hero in it."""
        facts: tuple[str, ...] = HeroFacts.__match_args__
        heroes = [{fact: getattr(hero, fact) for fact in facts} for hero in self.heroes]
        return {"roster": self.roster, "part": self.part, "heroes": heroes}

    @classmethod
    def from_payload(cls, payload: Mapping[str, Any]) -> Self:
        """Build the event with its heroes. Raise KeyError, TypeError or ValueError if it does not fit."""
        fields = _fields(cls, payload)
        heroes = [HeroFacts(**_fields(HeroFacts, facts)) for facts in fields.pop("heroes")]
        return cls(heroes=heroes, **fields)


EVENTS: Mapping[str, type[Event]] = {
    cls.name: cls
    for cls in (UserLoggedIn, GameStarted, AttackMade, GameCompleted, GameTimedOut, PlayerRated, HeroesListed)
}
