"""Ratings: who wins gains, who beats the stronger gains more, and nobody gains from nothing."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from superhero.events import GameCompleted, Standing
from superhero.game.ratings import START_RATING, UNRATED, Rating, Ratings, expected, rate


def ended(users: Sequence[str]) -> GameCompleted:
    """Return a game that ended like this, the winner first."""
    podium = [Standing(user, 1, rank, 0, 0, 0) for rank, user in enumerate(users, start=1)]
    return GameCompleted("0123456789abcdef", 0, "last one standing", podium)


def test_who_beats_the_stronger_wins_more_points() -> None:
    ratings = Ratings()
    first = ratings.played(ended(["a", "b"]))
    assert [each.rating - each.rating_prior for each in first] == [16, -16]
    surprise = ratings.played(ended(["b", "a"]))
    assert surprise[0].rating - surprise[0].rating_prior > 16
    assert [(each.user, each.rank, each.games) for each in surprise] == [("b", 1, 2), ("a", 2, 2)]


def test_the_podium_s_order_does_not_matter_its_ranks_do() -> None:
    game = ended(["a", "b", "c"])
    turned = GameCompleted(game.game_token, game.attacks, game.reason, game.podium[::-1])
    assert rate(turned, {}) == rate(game, {})


def test_nobody_falls_below_nothing() -> None:
    assert rate(ended(["a", "b"]), {"a": Rating(5, 9), "b": Rating(3, 9)})[1].rating == 0


@given(st.lists(st.permutations(["a", "b", "c", "d"]), max_size=30))
def test_ratings_stay_about_where_they_began_on_the_mean(games: list[list[str]]) -> None:
    ratings = Ratings()
    for order in games:
        ratings.played(ended(order))
    surplus = sum(ratings.now().get(user, UNRATED).points - START_RATING for user in "abcd")
    # Every change is rounded by half a point at most.
    assert abs(surplus) <= 2 * len(games)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_two_players_expect_a_whole_win_together(one: int, other: int) -> None:
    assert expected(one, other) + expected(other, one) == 1000
    assert (expected(one, other) >= 500) == (one >= other)
