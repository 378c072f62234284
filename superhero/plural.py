"""Write how many there are of something, for people: 1 game, 2 games, 1,000 games."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return the number and its noun; `plural` where that is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
