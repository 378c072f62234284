"""Heroes as events, so that what the games were played with stands beside them in the data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from superhero.events import HeroesListed, HeroFacts
from superhero.roster.hero import Hero

HEROES_A_PART = 100
"""How many heroes an event lists: some 20 KB."""


def listing(heroes: Sequence[Hero]) -> list[HeroesListed]:
    """Return the events that list a roster; the same events, down to its name, for the same heroes."""
    facts = [
        HeroFacts(id=hero.id, name=hero.name, **hero.stats(), health=hero.health, attack=hero.attack)
        for hero in sorted(heroes, key=lambda hero: hero.id)
    ]
    roster = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
    return [
        HeroesListed(roster, part, facts[first : first + HEROES_A_PART])
        for part, first in enumerate(range(0, len(facts), HEROES_A_PART))
    ]
