"""Headless runs: reproducible to the byte, by the rules, with gapless record ids."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest

from superhero import headless
from superhero.events import (
    CHANNELS,
    EVENTS,
    AttackMade,
    GameCompleted,
    GameStarted,
    HeroesListed,
    PlayerRated,
    UserLoggedIn,
)
from superhero.generator.population import Habits
from superhero.generator.rates import Rate
from superhero.headless import Record, play
from superhero.ops.outlets import envelope
from superhero.roster import shipped
from superhero.transport.envelope import decode, encode

HEROES = shipped()


def run(seed: int = 7, games: int = 20, **options: Any) -> list[Record]:
    return list(play(seed, games, HEROES, **options))


def as_bytes(records: list[Record]) -> bytes:
    return b"\n".join(encode(envelope(record)) for record in records)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert as_bytes(run()) == as_bytes(run())


def test_the_bytes_of_a_seed_do_not_change_from_version_to_version() -> None:
    digest = hashlib.sha256(as_bytes(run())).hexdigest()
    assert digest == "52bcdda8d6c71e90233a6cc966ceca750edf34d25443e7c753ea5abc0d332488", (
        "raise _GENERATION in superhero/headless.py, then put the new digest here"
    )


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    shorter, longer = run(games=5), run(games=9)
    assert longer[: len(shorter)] == shorter


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 8},
        {"participants": (2, 3)},
        {"players": 99},
        {"start": headless.START + timedelta(seconds=1)},
        {"rate": Rate(51)},
        {"rate": Rate(shape="daily")},
        {"habits": Habits(skill="random")},
        {"habits": Habits(heroes="popular")},
        {"habits": Habits(session_games=5)},
        {"variant": "with faults"},
    ],
)
def test_another_run_shares_no_record_id_and_no_game(other: dict[str, Any]) -> None:
    one, another = run(), run(**other)
    assert not {record.record_id for record in one} & {record.record_id for record in another}
    assert not games(one) & games(another)


def test_a_run_with_other_heroes_shares_no_record_id() -> None:
    other = list(play(7, 20, HEROES[1:]))
    assert not {record.record_id for record in run()} & {record.record_id for record in other}


def test_the_start_in_another_time_zone_is_the_same_start() -> None:
    there = headless.START.astimezone(timezone(timedelta(hours=5)))
    assert as_bytes(run(start=there)) == as_bytes(run())


def test_record_ids_are_gapless_per_channel() -> None:
    sequences: dict[str, list[int]] = defaultdict(list)
    for record in run():
        producer, _, sequence = record.record_id.rpartition(":")
        assert producer.startswith("sim-7-")
        assert producer.endswith(f"-{record.event.channel.rpartition('.')[2]}")
        sequences[producer].append(int(sequence))
    assert len(sequences) == len(CHANNELS)
    assert all(numbers == list(range(len(numbers))) for numbers in sequences.values())


def test_every_record_is_an_envelope_that_comes_back_as_it_was() -> None:
    for record in run():
        sent = envelope(record)
        assert decode(json.loads(encode(sent))) == sent
        assert sent.payload is not None
        assert EVENTS[sent.event or ""].from_payload(sent.payload) == record.event


def test_times_go_forward_from_the_start() -> None:
    records = run(start=datetime(2030, 1, 2, tzinfo=UTC))
    assert envelope(records[0]).time == "2030-01-02T00:00:00.000000Z"
    assert all(before.time < after.time for before, after in pairwise(records))


def test_games_are_as_large_as_asked_and_players_and_heroes_are_different_in_each() -> None:
    started = [record.event for record in run(games=200) if isinstance(record.event, GameStarted)]
    assert {len(event.users) for event in started} == {2, 3, 4}
    assert all(len(set(event.heroes.values())) == len(set(event.users)) for event in started)


def test_every_game_starts_is_fought_and_completes_once() -> None:
    of_game: dict[str, list[Any]] = defaultdict(list)
    for record in run(games=50):
        if isinstance(record.event, GameStarted | AttackMade | GameCompleted):
            of_game[record.event.game_token].append(record.event)
    assert len(of_game) == 50
    for start, *attacks, end in of_game.values():
        assert isinstance(start, GameStarted)
        assert isinstance(end, GameCompleted)
        assert [attack.turn for attack in attacks] == list(range(1, end.attacks + 1))
        assert sorted(standing.rank for standing in end.podium) == list(range(1, len(start.users) + 1))
        assert all(isinstance(attack, AttackMade) and attack.enemy != attack.user for attack in attacks)


def test_every_participant_is_rated_after_its_game() -> None:
    games_of: dict[str, int] = defaultdict(int)
    ratings: dict[str, int] = {}
    podium: list[str] = []
    for event in (record.event for record in run(games=50)):
        if isinstance(event, GameCompleted):
            assert not podium
            podium = [standing.user for standing in event.podium]
        elif isinstance(event, PlayerRated):
            assert event.user == podium.pop(0)
            assert event.rating_prior == ratings.get(event.user, 1000)
            ratings[event.user] = event.rating
            games_of[event.user] += 1
            assert event.games == games_of[event.user]
    assert not podium


def test_the_heroes_are_listed_first_and_whole() -> None:
    listed = [record.event for record in run(games=1) if isinstance(record.event, HeroesListed)]
    assert [record.event for record in run(games=1)[: len(listed)]] == listed
    assert [hero.id for event in listed for hero in event.heroes] == [hero.id for hero in HEROES]
    assert len({event.roster for event in listed}) == 1
    assert [event.part for event in listed] == list(range(len(listed)))


def test_users_come_and_go_where_sessions_end() -> None:
    online: set[str] = set()
    logins = 0
    for event in (record.event for record in run(games=200, habits=Habits(session_games=3))):
        if isinstance(event, UserLoggedIn):
            logins += 1
            assert event.created == (event.user not in online)
            online.add(event.user)
        elif isinstance(event, GameStarted):
            assert set(event.users) <= online
    assert logins > 150


def test_the_better_players_win_more_where_skills_are_mixed() -> None:
    won: dict[str, int] = defaultdict(int)
    rated: dict[str, int] = {}
    for event in (record.event for record in run(games=3000, players=20)):
        if isinstance(event, PlayerRated):
            won[event.user] += event.rank == 1
            rated[event.user] = event.rating
    by_rating = sorted(rated, key=lambda user: rated[user])
    assert sum(won[user] for user in by_rating[10:]) > sum(won[user] for user in by_rating[:10])


def test_a_few_heroes_are_played_by_most_where_they_are_popular() -> None:
    played: dict[str, list[int]] = {}
    for mix in ("even", "popular"):
        chosen: dict[int, int] = defaultdict(int)
        for event in (record.event for record in run(games=2000, habits=Habits("random", mix))):
            if isinstance(event, GameStarted):
                for hero in event.heroes.values():
                    chosen[hero] += 1
        played[mix] = sorted(chosen.values(), reverse=True)
    assert sum(played["popular"][:60]) > 1.5 * sum(played["even"][:60])


def test_everybody_logs_in_first_and_only_they_play() -> None:
    records = [record for record in run(players=5) if not isinstance(record.event, HeroesListed)]
    logged_in = [record.event.user for record in records[:5] if isinstance(record.event, UserLoggedIn)]
    playing = {
        user for record in records if isinstance(record.event, GameStarted) for user in record.event.users
    }
    assert len(set(logged_in)) == 5
    assert playing == set(logged_in)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"participants": (1, 2)}, "participants must be 2 to 255"),
        ({"participants": (3, 2)}, "participants must be 2 to 255"),
        ({"participants": (2, 256)}, "participants must be 2 to 255"),
        ({"players": 3}, "3 players cannot play a game of 4"),
        ({"start": datetime(2026, 1, 1)}, "must say its time zone"),
    ],
)
def test_arguments_that_make_no_game_are_refused_at_the_call(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        play(7, 1, HEROES, **options)


def test_too_few_heroes_are_refused() -> None:
    with pytest.raises(ValueError, match="3 heroes are too few for a game of 4"):
        play(7, 1, HEROES[:3])


def games(records: list[Record]) -> set[str]:
    return {record.event.game_token for record in records if isinstance(record.event, GameCompleted)}
