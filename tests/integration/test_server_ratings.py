"""Players of live games are rated with the move that ends a game, whatever else they play meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from typing import Any

import api_v1
import pytest
import redis
from api_v1 import Player
from serving import Logged, give_heroes, logged, serving, url_of

from superhero import keys
from superhero.errors import StoreError
from superhero.events import GameCompleted, PlayerRated
from superhero.game.ratings import Rating, Ratings
from superhero.identity import public_id
from superhero.server.app import GameServer
from superhero.server.snapshot import read_rating
from superhero.server.store import Store

NAMES = ("Alma", "Bruno", "Carla", "Dario")


@pytest.fixture
async def servers(redis_url: str) -> AsyncIterator[list[GameServer]]:
    """Run two servers on one Redis."""
    give_heroes(redis_url)
    async with serving(redis_url) as first, serving(redis_url) as second:
        yield [first, second]


async def seats(servers: Sequence[GameServer], names: Sequence[str], games: int) -> list[Player]:
    """Return players who sit in so many games, each of them in all; none of the games is played yet."""
    urls = itertools.cycle([url_of(server) for server in servers])
    tokens = {name: await api_v1.login(next(urls), name) for name in names}
    found = []
    for game, name in itertools.product(range(games), names):
        player = Player(lambda: next(urls), name, random.Random(f"{name} {game}"), token=tokens[name])
        await player.join(len(names))
        found.append(player)
    return found


def told(log: Logged) -> dict[str, list[dict[str, Any]]]:
    """Return by user how it was rated, in the order of its games."""
    rated = defaultdict(list)
    for each in sorted(log.payloads(PlayerRated), key=lambda each: int(each["games"])):
        rated[each["user"]].append(each)
    return rated


def in_redis(redis_url: str) -> dict[str, Rating]:
    """Return every rating that stands."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        return {user: read_rating(text) for user, text in client.hgetall(keys.ratings()).items()}


async def test_a_game_rates_its_players_as_the_generator_would(
    servers: list[GameServer], redis_url: str
) -> None:
    with logged() as log:
        for _ in range(3):
            await asyncio.gather(*(player.play() for player in await seats(servers, NAMES, 1)))
    ratings = Ratings()
    completed = [GameCompleted.from_payload(each) for each in log.payloads(GameCompleted)]
    expected = [each.payload() for game in completed for each in ratings.played(game)]
    assert log.payloads(PlayerRated) == expected
    assert in_redis(redis_url) == ratings.now()
    assert {rating.games for rating in in_redis(redis_url).values()} == {3}


async def test_players_of_many_games_at_once_are_rated_game_by_game(
    servers: list[GameServer], redis_url: str
) -> None:
    games = 6
    with logged() as log:
        players = await seats(servers, NAMES[:3], games)
        assert set(await asyncio.gather(*(player.play() for player in players))) == {"COMPLETE"}
    rated = told(log)
    assert set(rated) == {public_id(player.token) for player in players}
    for user, each in rated.items():
        assert [row["games"] for row in each] == list(range(1, games + 1))
        assert [row["rating_prior"] for row in each] == [1000, *(row["rating"] for row in each[:-1])]
        assert len({row["game_token"] for row in each}) == games
        assert in_redis(redis_url)[user] == Rating(each[-1]["rating"], games)


async def test_of_two_games_that_end_at_once_the_second_rates_by_what_the_first_made(
    servers: list[GameServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    both_read, reads = asyncio.Barrier(2), itertools.count()
    read = Store.ratings

    async def ratings(store: Store, users: Sequence[str]) -> dict[str, Rating]:
        found = await read(store, users)
        if next(reads) < 2:
            await both_read.wait()
        return found

    monkeypatch.setattr(Store, "ratings", ratings)
    with logged() as log:
        players = await seats(servers, NAMES[:2], 2)
        await asyncio.gather(*(player.play() for player in players))
    assert next(reads) > 2, "the one that came second did not look again"
    for rows in told(log).values():
        assert [row["games"] for row in rows] == [1, 2]
        assert rows[1]["rating_prior"] == rows[0]["rating"]
    assert len(log.payloads(GameCompleted)) == 2


async def test_a_game_that_players_abandoned_rates_them_too(redis_url: str) -> None:
    give_heroes(redis_url)
    async with serving(redis_url, turn_timeout_s=0.2) as server:
        with logged() as log:
            players = await seats([server], NAMES[:2], 1)
            async with api_v1.connected(url_of(server), api_v1.LOBBY) as lobby:
                await api_v1.say(lobby, GAME_TOKEN=players[0].game, USER_TOKEN=players[0].token)
                while (await api_v1.hear(lobby))["STATUS"]["GAME"] != "COMPLETE":
                    continue
    assert [(each["rank"], each["rating"]) for each in log.payloads(PlayerRated)] == [(1, 1016), (2, 984)]


@pytest.mark.parametrize("text", ["", "1000", "a b", "1 2 3"])
def test_a_rating_that_we_did_not_write_is_told(text: str) -> None:
    with pytest.raises(StoreError, match="not what we wrote"):
        read_rating(text)
