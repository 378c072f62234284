"""HEROES (dimension): the heroes of a roster, an object per part of it.

A roster is named by its content, so the same heroes listed by whomever are the same object, and so it has no
time: it would not be the same in every listing.
"""

from __future__ import annotations

from collections.abc import Iterable

from sinks.base import Put, Write
from superhero.events import HeroesListed
from superhero.transport.envelope import Envelope
from tasks.columns import text, uint8, uint16, uint64
from tasks.registry import pipeline

_POWERS = ("intelligence", "strength", "durability", "speed", "power", "combat")


@pipeline(channel=HeroesListed.channel, event=HeroesListed.name)
def heroes(envelope: Envelope, event: HeroesListed) -> Iterable[Write]:
    """Put a row per hero."""
    rows = [
        {
            "roster": text(event.roster, "roster"),
            "superhero_id": uint16(hero.id, "id"),
            "name": text(hero.name, "name"),
            **{power: uint8(getattr(hero, power), power) for power in _POWERS},
            "health": uint64(hero.health, "health"),
            "attack": uint64(hero.attack, "attack"),
        }
        for hero in event.heroes
    ]
    yield Put("HEROES", f"{event.roster}-{uint16(event.part, 'part')}", rows)
