"""How a crowd of bots is split into games, and what it counts."""

from __future__ import annotations

import asyncio
import random
import resource
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from superhero.client import Bot, Outcome
from superhero.commands.play import Minutes
from superhero.crowd import Crowd, Score, allow_connections, check_split, split
from superhero.errors import ServiceError, SettingsError

SIZES = st.tuples(st.integers(2, 9), st.integers(0, 5)).map(lambda pair: (pair[0], sum(pair)))


class Puppet(Bot):
    """A bot without a server: its games end as `end` says."""

    def __init__(self, number: int, end: Callable[[int], Outcome]) -> None:
        super().__init__(f"puppet-{number}", ["ws://nowhere"], random.Random(number))
        self._end = end
        self.sizes: list[int] = []

    async def login(self, patience_s: float | None = None) -> None:
        """Do without."""

    async def play(self, participants: int) -> Outcome:
        """Play a game that is over."""
        self.sizes.append(participants)
        return self._end(len(self.sizes))


def puppets(count: int, end: Callable[[int], Outcome]) -> list[Puppet]:
    return [Puppet(number, end) for number in range(count)]


def crowd_of(bots: list[Puppet], participants: tuple[int, int] = (2, 2)) -> Crowd:
    return Crowd(bots, random.Random(1), participants)


@given(st.integers(1, 200), SIZES, st.integers())
def test_a_split_holds_everybody_once_in_groups_of_the_sizes_asked_for(
    count: int, participants: tuple[int, int], seed: int
) -> None:
    try:
        check_split(count, participants)
    except SettingsError:
        assert not any(
            groups * participants[0] <= count <= groups * participants[1] for groups in range(1, count + 1)
        )
        return
    groups = split(range(count), participants, random.Random(seed))
    assert sorted(member for group in groups for member in group) == list(range(count))
    assert all(participants[0] <= len(group) <= participants[1] for group in groups)
    assert groups == split(range(count), participants, random.Random(seed))


@pytest.mark.parametrize(
    ("players", "participants", "told"),
    [
        (1, (2, 4), "1 players cannot be split into full games of 2 to 4"),
        (0, (2, 4), "0 players"),
        (10, (4, 4), "10 players cannot be split into full games of 4;"),
        (5, (3, 4), "5 players"),
    ],
)
def test_players_that_cannot_fill_games_are_refused(
    players: int, participants: tuple[int, int], told: str
) -> None:
    with pytest.raises(SettingsError, match=told):
        check_split(players, participants)


async def test_a_game_counts_once_however_many_of_its_players_are_ours() -> None:
    bots = puppets(6, lambda number: Outcome(f"game-{number}", "completed", 2))
    crowd = crowd_of(bots, (6, 6))
    await crowd.play(3)
    score = crowd.score
    assert (score.games_completed, score.tokens) == (3, ["game-1", "game-2", "game-3"])
    assert (score.rounds, score.players_done, score.attacks, score.all_completed) == (3, 18, 36, True)
    assert all(bot.sizes == [6, 6, 6] for bot in bots)


async def test_games_that_timed_out_or_were_lost_are_told_apart() -> None:
    timed_out, lost = Outcome("a", "timed out", 0), Outcome("b", "lost", 0)
    ends = iter([timed_out, timed_out, lost, Outcome("c", "completed", 1)])
    crowd = crowd_of(puppets(4, lambda number: next(ends)))
    await crowd.play(1)
    score = crowd.score
    assert (score.games_completed, score.games_timed_out, score.failed) == (1, 1, 1)
    assert (score.tokens, score.all_completed) == (["c"], False)


async def test_a_crowd_with_an_end_gives_up_when_a_player_does() -> None:
    def fail(number: int) -> Outcome:
        raise ServiceError("nobody there")

    crowd = crowd_of(puppets(2, fail))
    with pytest.raises(ServiceError, match="nobody there"):
        await crowd.play(5)
    assert (crowd.score.rounds, crowd.score.all_completed) == (0, False)


async def test_a_crowd_without_end_ends_when_it_is_stopped() -> None:
    def end(number: int) -> Outcome:
        if number == 5:
            crowd.stop()
        return Outcome(f"game-{number}", "completed", 1)

    crowd = crowd_of(puppets(2, end))
    await crowd.play(None)
    assert (crowd.score.rounds, crowd.score.cut_off) == (5, False)


async def test_a_crowd_without_end_outlives_players_that_fail(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("superhero.crowd._PAUSE_S", 0.0)

    def end(number: int) -> Outcome:
        if number < 3:
            raise ServiceError("nobody there")
        crowd.stop()
        return Outcome("game", "completed", 1)

    crowd = crowd_of(puppets(2, end))
    await crowd.play(None)
    assert (crowd.score.failed, crowd.score.games_completed, crowd.score.rounds) == (4, 1, 3)
    assert caplog.messages == ["nobody there"] * 4


async def test_games_that_do_not_end_in_time_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("superhero.crowd.GRACE_S", 0.01)

    class Stuck(Puppet):
        async def play(self, participants: int) -> Outcome:
            """Play for ever."""
            crowd.stop()
            await asyncio.Event().wait()
            raise AssertionError("this game has no end")

    crowd = crowd_of([Stuck(number, lambda played: Outcome("", "lost", 0)) for number in range(2)])
    await crowd.play(None)
    assert (crowd.score.cut_off, crowd.score.rounds) == (True, 0)


def test_a_score_is_in_games_per_minute() -> None:
    assert Score(games_completed=30, seconds=20.0).games_per_minute == 90.0
    assert Score().games_per_minute == 0.0


def test_the_limit_of_open_files_is_raised_as_far_as_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: raised.append(limits))
    allow_connections(10)
    assert raised == []
    allow_connections(500)
    assert raised == [(2064, 4096)]


def test_more_players_than_files_may_be_opened_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 1024))
    with pytest.raises(SettingsError, match=r"500 players need 2,064 open files .* 1,024: raise the limit"):
        allow_connections(500)


def test_a_crowd_that_goes_on_says_once_a_minute_what_it_played() -> None:
    now, said = 100.0, []
    minutes = Minutes(said.append, lambda: now)
    score = Score()
    for _ in range(180):
        now += 1
        score.games_completed += 20
        minutes.show(score)
    assert [line.partition(";")[0] for line in said] == [
        f"{games:,} games completed, 1,200 per minute" for games in (1200, 2400, 3600)
    ]
