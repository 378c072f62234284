"""Ratings: Elo for games of any size, in whole numbers, so that every machine comes to the same. Pure.

A game of N is N * (N - 1) / 2 duels, each won by the better rank; a user's change is the mean of its duels'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from superhero.events import GameCompleted, PlayerRated

START_RATING = 1000
"""The rating of a user who has not played yet, in points."""

LARGEST_CHANGE = 32
"""How many points a game can win or lose, at most."""

# Thousandths of a point that the stronger of two may expect, by hundreds of points between them:
# 1000 / (1 + 10 ** (-difference / 400)), rounded. `**` on floats is the machine's libm, a table is not.
_EXPECTED = (500, 640, 760, 849, 909, 947, 969, 983, 990)


@dataclass(frozen=True, slots=True)
class Rating:
    """What a user is rated, in points, and after how many games."""

    points: int = START_RATING
    games: int = 0


UNRATED = Rating()
"""Who has not played yet."""


def rate(completed: GameCompleted, before: Mapping[str, Rating]) -> list[PlayerRated]:
    """Return every participant's rating after a game, the winner's first; `before` may lack newcomers."""
    ranked = sorted(completed.podium, key=lambda standing: standing.rank)
    known = [before.get(standing.user, UNRATED) for standing in ranked]
    points = [rating.points for rating in known]
    return [
        PlayerRated(
            game_token=completed.game_token,
            user=standing.user,
            rank=standing.rank,
            rating_prior=rating.points,
            rating=max(rating.points + _change(points, place), 0),
            games=rating.games + 1,
        )
        for place, (standing, rating) in enumerate(zip(ranked, known, strict=True))
    ]


class Ratings:
    """Every user's rating, game after game."""

    def __init__(self) -> None:
        self._ratings: dict[str, Rating] = {}

    def played(self, completed: GameCompleted) -> list[PlayerRated]:
        """Take in how a game ended; return its participants as they are rated then."""
        rated = rate(completed, self._ratings)
        self._ratings.update((each.user, Rating(each.rating, each.games)) for each in rated)
        return rated

    def now(self) -> Mapping[str, Rating]:
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
