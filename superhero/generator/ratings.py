"""Ratings: Elo for games of any size, in whole numbers, so that every machine comes to the same.

A game of N is N * (N - 1) / 2 duels, each won by the better rank; a user's change is the mean of its duels'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

START_RATING = 1000
"""The rating of a user who has not played yet, in points."""

LARGEST_CHANGE = 32
"""How many points a game can win or lose, at most."""

# Thousandths of a point that the stronger of two may expect, by hundreds of points between them:
# 1000 / (1 + 10 ** (-difference / 400)), rounded. `**` on floats is the machine's libm, a table is not.
_EXPECTED = (500, 640, 760, 849, 909, 947, 969, 983, 990)


@dataclass(frozen=True, slots=True)
class Rated:
    """A user after a game: its new rating, what the game changed, and how many games it has played."""

    user: str
    rating: int
    change: int
    games: int


class Ratings:
    """Every user's rating, game after game."""

    def __init__(self) -> None:
        self._ratings: dict[str, int] = {}
        self._games: dict[str, int] = {}

    def rating(self, user: str) -> int:
        """Return a user's rating now, in points."""
        return self._ratings.get(user, START_RATING)

    def played(self, users: Sequence[str]) -> list[Rated]:
        """Take in how a game ended, `users` by rank, the winner first; return them as they are then."""
        before = [self.rating(user) for user in users]
        rated = []
        for place, user in enumerate(users):
            change = _change(before, place)
            self._ratings[user] = max(before[place] + change, 0)
            self._games[user] = self._games.get(user, 0) + 1
            rated.append(
                Rated(user, self._ratings[user], self._ratings[user] - before[place], self._games[user])
            )
        return rated

    def now(self) -> Mapping[str, int]:
        """Return the rating of everybody who has played."""
        return self._ratings


def expected(rating: int, other: int) -> int:
    """Return what a user may expect of a duel, in thousandths: 500 among equals, 1000 is a sure win."""
    difference = abs(rating - other)
    at, rest = divmod(min(difference, 100 * (len(_EXPECTED) - 1)), 100)
    stronger = _EXPECTED[at]
    if rest:
        stronger += (_EXPECTED[at + 1] - stronger) * rest // 100
    return stronger if rating >= other else 1000 - stronger


def _change(ratings: Sequence[int], place: int) -> int:
    """Return the change for who came in at `place`; those before it won their duel with it."""
    surplus = sum(
        (1000 if place < other_place else 0) - expected(ratings[place], other)
        for other_place, other in enumerate(ratings)
        if other_place != place
    )
    return _rounded(LARGEST_CHANGE * surplus, 1000 * (len(ratings) - 1))


def _rounded(numerator: int, denominator: int) -> int:
    """Divide and round half away from zero, so that what one wins the other loses."""
    whole = (abs(numerator) * 2 + denominator) // (2 * denominator)
    return whole if numerator >= 0 else -whole
