"""The rows that a record makes in each dataset, as docs/data.md says: what a sink is held against.

On purpose not the pipelines' code, nor any that they use: what both get wrong, neither would notice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from superhero.events import AttackMade, Event, GameCompleted, HeroesListed, PlayerRated
from superhero.transport.envelope import Envelope

Row = dict[str, Any]


def rows_of(envelope: Envelope, event: Event) -> Iterator[tuple[str, Row]]:
    """Yield (dataset, row) for every row that a good record makes; `event` is what the record tells."""
    yield "RECORDS", _record(envelope)
    match event:
        case AttackMade():
            yield "ATTACKS", _attack(envelope, event)
        case GameCompleted():
            yield from _game(event)
        case PlayerRated():
            yield "PLAYERS", _player(envelope, event)
        case HeroesListed():
            yield from _heroes(event)


def _record(envelope: Envelope) -> Row:
    names = ("channel", "time", "level", "logger", "event", "message", "payload")
    return {"record_id": envelope.id, **{name: getattr(envelope, name) for name in names}}


def _attack(envelope: Envelope, event: AttackMade) -> Row:
    return {
        "record_id": envelope.id,
        "game_token": event.game_token,
        "turn": event.turn,
        "user_token": event.user,
        "enemy_token": event.enemy,
        "damage": event.damage,
        "enemy_health_prior": event.enemy_health_prior,
        "enemy_health_post": event.enemy_health_post,
        "time": envelope.time,
        **_added(envelope, event),
    }


def _game(event: GameCompleted) -> Iterator[tuple[str, Row]]:
    for standing in event.podium:
        who = {"game_token": event.game_token, "user_token": standing.user}
        yield "GAME_META", {**who, "superhero_id": standing.hero_id}
        facts = ("rounds", "rank", "damage_delivered", "damage_received")
        yield "GAME_PODIUM", {**who, **{fact: getattr(standing, fact) for fact in facts}}


def _player(envelope: Envelope, event: PlayerRated) -> Row:
    return {
        "record_id": envelope.id,
        "user_token": event.user,
        "game_token": event.game_token,
        "rank": event.rank,
        "rating_prior": event.rating_prior,
        "rating": event.rating,
        "games": event.games,
        "time": envelope.time,
        **_added(envelope, event),
    }


def _heroes(event: HeroesListed) -> Iterator[tuple[str, Row]]:
    facts = ("name", "intelligence", "strength", "durability", "speed", "power", "combat", "health", "attack")
    for hero in event.heroes:
        row = {
            "roster": event.roster,
            "superhero_id": hero.id,
            **{fact: getattr(hero, fact) for fact in facts},
        }
        yield "HEROES", row


def _added(envelope: Envelope, event: Event) -> Mapping[str, Any]:
    """Return the fields of a payload that its event does not have: they stand in the row, too."""
    return {
        name: value for name, value in (envelope.payload or {}).items() if name not in event.__match_args__
    }
