"""Games on one or several servers: races, time-outs, lobbies, and who learns what."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import api_v1
import pytest
import redis
from api_v1 import ACTION, LOBBY, Message, Player, ask
from serving import Logged, give_heroes, logged, serving, url_of
from websockets.asyncio.client import connect

from superhero import keys
from superhero.events import AttackMade, GameCompleted, GameStarted, GameTimedOut, UserLoggedIn
from superhero.identity import public_id
from superhero.server import lobbies, store
from superhero.server.app import GameServer

if TYPE_CHECKING:
    from conftest import Eventually

NAMES = ("Alma Secretname", "Bruno Secretname", "Carla Secretname", "Dario Secretname")


@pytest.fixture
async def servers(redis_url: str) -> AsyncIterator[list[GameServer]]:
    """Run two servers on one Redis."""
    give_heroes(redis_url)
    async with serving(redis_url) as first, serving(redis_url) as second:
        yield [first, second]


def spread(servers: list[GameServer], names: list[str]) -> list[Player]:
    """Return players each of whose connections goes to the next server."""
    urls = itertools.cycle([url_of(server) for server in servers])
    return [Player(lambda: next(urls), name, random.Random(name)) for name in names]


async def play_all(players: list[Player], size: int) -> list[str]:
    """Let everybody join, and play what each has joined."""
    for player in players:
        await player.join(size)
    return await asyncio.gather(*(player.play() for player in players))


async def test_players_on_different_servers_play_one_game(servers: list[GameServer]) -> None:
    players = spread(servers, list(NAMES))
    with logged() as log:
        assert await play_all(players, 4) == ["COMPLETE"] * 4
    assert len({player.game for player in players}) == 1
    assert len(log.payloads(GameStarted)) == len(log.payloads(GameCompleted)) == 1
    for player in players:
        told = [message["STATUS"]["GAME"] for message in player.pushed]
        assert told[0] == "START" and told[-1] == "COMPLETE" and told.count("START") == 1


async def test_many_who_look_for_a_game_at_once_never_overfill_one(
    servers: list[GameServer], redis_url: str
) -> None:
    players = spread(servers, [f"player {number}" for number in range(30)])
    for player in players:
        player.token = await api_v1.login(player.url(), player.name)
    with logged() as log:
        await asyncio.gather(*(player.join(3) for player in players))
    games = Counter(player.game for player in players)
    assert sorted(games.values()) == [3] * 10
    started = log.payloads(GameStarted)
    assert Counter(each["game_token"] for each in started) == Counter(set(games))
    for each in started:
        assert len(set(each["users"])) == len(set(each["heroes"].values())) == 3
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert client.llen(keys.open_games(3)) == 0
        assert client.llen(keys.players(3)) == 10
        assert dict(client.zrange(keys.joined(), 0, -1, withscores=True)) == dict.fromkeys(games, 3.0)


async def test_of_many_attacks_in_one_turn_one_is_carried_out(servers: list[GameServer]) -> None:
    first, second = spread(servers, list(NAMES[:2]))
    for player in (first, second):
        await player.join(2)
    requests = [
        ask(
            player.url(),
            ACTION,
            GAME_TOKEN=player.game,
            USER_TOKEN=player.token,
            ENEMY_TOKEN=public_id(enemy.token),
            ACTION="ATTACK",
        )
        for player, enemy in [(first, second), (second, first)] * 5
    ]
    with logged() as log:
        answers = await asyncio.gather(*requests)
    made = [answer for answer in answers if answer["PAYLOAD"]]
    turns = [each["turn"] for each in log.payloads(AttackMade)]
    assert len(made) == len(turns) >= 1 and turns == list(range(1, len(turns) + 1))
    users = [each["user"] for each in log.payloads(AttackMade)]
    assert all(before != after for before, after in itertools.pairwise(users))
    refused = {answer["STATUS"] for answer in answers if not answer["PAYLOAD"]}
    assert refused <= {"NOT THE USER'S TURN"}


async def test_a_game_that_does_not_fill_times_out_once(redis_url: str, eventually: Eventually) -> None:
    give_heroes(redis_url)
    async with (
        serving(redis_url, lobby_timeout_s=0.3) as first,
        serving(redis_url, lobby_timeout_s=0.3) as second,
    ):
        player = spread([first, second], ["alone"])[0]
        with logged() as log:
            assert await play_all([player], 3) == ["TIMED OUT"]
            await eventually(lambda: log.payloads(GameTimedOut))
        assert [message["STATUS"]["GAME"] for message in player.pushed] == ["TIMED OUT"]
        assert log.payloads(GameTimedOut) == [
            {"game_token": player.game, "participants": 3, "joined": [public_id(player.token)]}
        ]
        over = player.game
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            assert client.get(keys.status(over)) == "TIMED OUT"
            assert client.zcard(keys.deadlines()) == client.llen(keys.open_games(3)) == 0
        player.pushed.clear()
        await player.join(3)
        assert player.game != over


async def test_players_who_do_not_move_fall_until_one_is_left(redis_url: str) -> None:
    give_heroes(redis_url)
    async with serving(redis_url, turn_timeout_s=0.2) as server:
        players = spread([server], list(NAMES[:3]))
        for player in players:
            await player.join(3)
        with logged() as log:
            async with api_v1.connected(url_of(server), LOBBY) as lobby:
                await api_v1.say(lobby, GAME_TOKEN=players[0].game, USER_TOKEN=players[0].token)
                told = [(await api_v1.hear(lobby))["STATUS"]["GAME"]]
                while told[-1] != "COMPLETE":
                    told.append((await api_v1.hear(lobby))["STATUS"]["GAME"])
        completions = log.payloads(GameCompleted)
        assert len(completions) == 1 and completions[0]["reason"] == "abandoned"
        assert [each["rank"] for each in completions[0]["podium"]] == [1, 2, 3]


async def test_who_moves_in_time_outlives_who_left(redis_url: str) -> None:
    give_heroes(redis_url)
    async with serving(redis_url, turn_timeout_s=0.3) as server:
        stays, leaves = spread([server], list(NAMES[:2]))
        for player in (stays, leaves):
            await player.join(2)
        with logged() as log:
            assert await stays.play() == "COMPLETE"
        assert log.payloads(GameCompleted)[0]["podium"][0]["user"] == public_id(stays.token)


async def test_nobody_learns_what_would_let_it_act_for_another(
    servers: list[GameServer], redis_url: str
) -> None:
    players = spread(servers, list(NAMES))
    with logged() as log:
        assert await play_all(players, 4) == ["COMPLETE"] * 4
    secrets = {player.token for player in players} | set(NAMES)
    for player in players:
        told = json.dumps([player.pushed, player.answers], ensure_ascii=False)
        assert player.token in told
        assert not [secret for secret in secrets - {player.token} if secret in told]
    lines = [repr(record.__dict__) + record.getMessage() for record in log.records]
    assert not [secret for secret in secrets if any(secret in line for line in lines)]
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        of_game = keys.of_game(players[0].game, [public_id(player.token) for player in players])
        stored = " ".join(str(read_key(client, key)) for key in of_game)
    assert not [secret for secret in secrets if secret in stored]


def read_key(client: redis.Redis, key: str) -> object:
    """Return all that a key holds."""
    match client.type(key):
        case "string":
            return client.get(key)
        case "list":
            return client.lrange(key, 0, -1)
        case "set":
            return client.smembers(key)
        case "hash":
            return client.hgetall(key)
        case "none":
            return None
        case other:
            raise AssertionError(f"{key} is a {other}")


async def test_the_keys_of_a_game_are_those_that_the_clean_up_knows(
    servers: list[GameServer], redis_url: str
) -> None:
    players = spread(servers, list(NAMES[:3]))
    await play_all(players, 3)
    game = players[0].game
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        of_game = set(keys.of_game(game, [public_id(player.token) for player in players]))
        there = {key for key in client.scan_iter("games:*") if game in key}
        assert there <= of_game
        assert client.get(keys.status(game)) == "COMPLETE"
        assert client.get(keys.participants(game)) == "3"
        assert client.get(keys.host(game)) == public_id(players[0].token)
        assert client.lrange(keys.players(3), 0, -1) == [game]
        assert client.zscore(keys.joined(), game) == 3
        assert client.smembers(keys.members(game)) == {public_id(player.token) for player in players}
        assert client.scard(keys.heroes_taken(game)) == 3


async def test_record_ids_have_no_gap_and_no_double(
    servers: list[GameServer],
) -> None:
    with logged() as log:
        for _ in range(3):
            await play_all(spread(servers, list(NAMES)), 2)
    assert_gapless(log)
    assert {record.name for record in log.records} == {"superhero.login", "superhero.lobby", "superhero.game"}
    assert [each["created"] for each in log.payloads(UserLoggedIn)] == [True] * 4 + [False] * 8


def assert_gapless(log: Logged) -> None:
    """Hold the record ids against the promise: per producer 0, 1, 2, ... each once."""
    sequences: dict[str, list[int]] = {}
    for record_id in log.ids():
        producer, _, sequence = record_id.rpartition(":")
        sequences.setdefault(producer, []).append(int(sequence))
    for producer, numbers in sequences.items():
        assert sorted(numbers) == list(range(len(numbers))), producer


async def test_a_lobby_that_does_not_read_does_not_hold_up_the_others(
    servers: list[GameServer], eventually: Eventually
) -> None:
    players = spread(servers, list(NAMES[:2]))
    for player in players:
        await player.join(2)
    deaf = socket.create_connection(("127.0.0.1", servers[0].port))
    connection = await connect(f"{url_of(servers[0])}{LOBBY}", sock=deaf, proxy=None, max_queue=1)
    try:
        await api_v1.say(connection, GAME_TOKEN=players[0].game, USER_TOKEN=players[0].token)
        connection.transport.pause_reading()
        assert await asyncio.gather(*(player.play() for player in players)) == ["COMPLETE"] * 2
    finally:
        connection.transport.abort()
        await connection.wait_closed()


async def test_lobbies_of_one_user_are_all_told_and_a_closed_one_is_forgotten(
    servers: list[GameServer], redis_url: str, eventually: Eventually
) -> None:
    player = spread(servers, ["twice here"])[0]
    await player.join(2)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:

        def listening() -> int:
            return int(client.pubsub_numsub(keys.feed(player.game))[0][1])

        async with api_v1.connected(url_of(servers[0]), LOBBY) as first:
            await api_v1.say(first, GAME_TOKEN=player.game, USER_TOKEN=player.token)
            async with api_v1.connected(url_of(servers[1]), LOBBY) as second:
                await api_v1.say(second, GAME_TOKEN=player.game, USER_TOKEN=player.token)
                await eventually(lambda: listening() == 2)
                other = spread(servers, ["the other"])[0]
                await other.join(2)
                started: list[Message] = [await api_v1.hear(first), await api_v1.hear(second)]
                assert [each["STATUS"]["GAME"] for each in started] == ["START"] * 2
        await eventually(lambda: listening() == 0)


async def test_a_stopped_server_says_goodbye_and_its_games_go_on_elsewhere(redis_url: str) -> None:
    give_heroes(redis_url)
    with logged() as log:
        async with serving(redis_url) as second:
            async with serving(redis_url) as first:
                players = spread([first], list(NAMES[:2]))
                for player in players:
                    await player.join(2)
                lobby = await connect(f"{url_of(first)}{LOBBY}", proxy=None)
                await api_v1.say(lobby, GAME_TOKEN=players[0].game, USER_TOKEN=players[0].token)
                await api_v1.hear(lobby)
            await lobby.wait_closed()
            assert lobby.close_code == 1001
            for player in players:
                player.url = lambda: url_of(second)
            assert await asyncio.gather(*(player.play() for player in players)) == ["COMPLETE"] * 2
    assert len(log.payloads(GameCompleted)) == 1
    assert_gapless(log)
    with redis.Redis.from_url(redis_url) as client:
        assert client.keys("servers*") == []


async def test_a_lobby_that_lets_its_buffer_fill_up_is_dropped(
    servers: list[GameServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lobbies, "MAX_UNSENT_BYTES", -1)  # any buffer is too full
    players = spread(servers, list(NAMES[:2]))
    for player in players:
        await player.join(2)
    async with api_v1.connected(url_of(servers[0]), LOBBY) as lobby:
        await api_v1.say(lobby, GAME_TOKEN=players[0].game, USER_TOKEN=players[0].token)
        await asyncio.wait_for(lobby.wait_closed(), 5)
        assert lobby.close_code == 1006


async def test_a_full_game_whose_server_died_before_the_start_is_started_by_another(
    redis_url: str, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "START_GRACE_S", 0.1)
    give_heroes(redis_url)
    async with serving(redis_url) as server, store.Store(redis_url, "dead") as of_the_dead:
        with logged() as log:
            for name in NAMES[:2]:
                user = public_id(await api_v1.login(url_of(server), name))
                joined = await of_the_dead.join(user, 2, 60)
            assert joined.word == "FULL" and log.payloads(GameStarted) == []
            await eventually(lambda: log.payloads(GameStarted))
    assert [each["game_token"] for each in log.payloads(GameStarted)] == [joined.game_token]


async def test_heroes_that_redis_has_lost_are_loaded_again(redis_url: str) -> None:
    asked: list[bool] = []

    def restock() -> bool:
        asked.append(True)
        give_heroes(redis_url)
        return True

    async with serving(redis_url, restock=restock) as server:
        await spread([server], ["one"])[0].join(2)
        await spread([server], ["two"])[0].join(2)
    assert asked == [True]
