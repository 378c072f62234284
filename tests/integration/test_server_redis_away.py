"""Redis goes away and comes back: the server says so meanwhile, and games go on as if nothing had been."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import api_v1
import httpx
import pytest
import redis
from api_v1 import LOBBY, LOGIN, Player, ask
from serving import give_heroes, logged, serving, url_of
from websockets.asyncio.client import connect

from superhero.events import GameCompleted
from superhero.ops.embedded import EmbeddedRedis
from superhero.server.app import GameServer

if TYPE_CHECKING:
    from conftest import Eventually


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """Run a Redis that a test may kill."""
    with EmbeddedRedis(tmp_path / "redis") as server:
        give_heroes(server.url())
        yield server


def is_written(own_redis: EmbeddedRedis) -> bool:
    """Tell whether its file has all: it answers first and writes later while a sync takes its time."""
    with redis.Redis.from_url(own_redis.url()) as client:
        return bool(client.info("persistence")["aof_buffer_length"] == 0)


async def health(server: GameServer) -> httpx.Response:
    """Ask /healthz."""
    async with httpx.AsyncClient(trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{server.port}/healthz")


async def test_requests_are_refused_while_redis_is_away_and_answered_once_it_is_back(
    own_redis: EmbeddedRedis, eventually: Eventually
) -> None:
    async with serving(own_redis.url()) as server:
        token = await api_v1.login(url_of(server), "one")
        await eventually(lambda: is_written(own_redis))
        await asyncio.to_thread(own_redis.kill9)
        async with api_v1.connected(url_of(server), LOGIN) as connection:
            await api_v1.say(connection, USER="one")
            assert (await api_v1.hear(connection))["STATUS"] == "GAME STATE NOT AVAILABLE"
            answer = await health(server)
            assert answer.status_code == 503 and answer.json()["status"] == "unavailable"
            assert "Redis" in answer.json()["reason"]
            assert own_redis.url().rpartition("@")[0].rpartition(":")[2] not in answer.text
            await asyncio.to_thread(own_redis.start)
            await api_v1.say(connection, USER="one")
            assert (await api_v1.hear(connection))["PAYLOAD"] == {"USER_TOKEN": token}
        assert (await health(server)).status_code == 200


async def test_lobbies_outlive_a_redis_that_was_killed(
    own_redis: EmbeddedRedis, eventually: Eventually
) -> None:
    async with serving(own_redis.url()) as server:
        players = [Player(lambda: url_of(server), name) for name in ("one", "two")]
        await players[0].join(2)
        async with api_v1.connected(url_of(server), LOBBY) as lobby:
            await api_v1.say(lobby, GAME_TOKEN=players[0].game, USER_TOKEN=players[0].token)

            async def sits() -> bool:
                return bool((await health(server)).json()["games"]["lobby_connections"] == 1)

            await eventually(sits)
            await asyncio.to_thread(own_redis.kill9)
            await asyncio.to_thread(own_redis.start)
            await players[1].join(2)
            assert (await asyncio.wait_for(api_v1.hear(lobby), 10))["STATUS"] == {"GAME": "START"}
            with logged() as log:
                assert await asyncio.gather(*(player.play() for player in players)) == ["COMPLETE"] * 2
            while (await asyncio.wait_for(api_v1.hear(lobby), 10))["STATUS"]["GAME"] != "COMPLETE":
                continue
        assert len(log.payloads(GameCompleted)) == 1


async def test_a_server_starts_without_redis_and_serves_once_it_is_there(own_redis: EmbeddedRedis) -> None:
    await asyncio.to_thread(own_redis.kill9)
    async with serving(own_redis.url()) as server:
        assert (await ask(url_of(server), LOGIN, USER="one"))["STATUS"] == "GAME STATE NOT AVAILABLE"
        await asyncio.to_thread(own_redis.start)
        assert (await ask(url_of(server), LOGIN, USER="one"))["STATUS"] == "USER CREATED"


async def test_lobbies_of_games_that_redis_has_forgotten_are_closed(own_redis: EmbeddedRedis) -> None:
    async with serving(own_redis.url()) as server:
        player = Player(lambda: url_of(server), "one")
        await player.join(2)
        async with api_v1.connected(url_of(server), LOBBY) as lobby:
            await api_v1.say(lobby, GAME_TOKEN=player.game, USER_TOKEN=player.token)
            await api_v1.say(lobby)  # answered once it sits
            assert (await api_v1.hear(lobby))["STATUS"] == "LOBBY CONNECTION IS IN USE"
            await asyncio.to_thread(own_redis.kill9)
            for leftover in own_redis.data_dir.rglob("appendonly*"):
                if leftover.is_file():
                    leftover.unlink()
            await asyncio.to_thread(own_redis.start)
            await asyncio.wait_for(lobby.wait_closed(), 15)


async def test_the_arena_goes_on_with_a_redis_that_was_killed(own_redis: EmbeddedRedis) -> None:
    async with (
        serving(own_redis.url()) as server,
        connect(f"{url_of(server)}/arena/live", proxy=None) as viewer,
    ):

        async def hear(kind: str, **fields: object) -> None:
            while not fields.items() <= json.loads(await viewer.recv()).get(kind, {}).items():
                continue

        async with asyncio.timeout(60):
            await hear("standings", under_way=0)
            await asyncio.to_thread(own_redis.kill9)
            await hear("standings", under_way=None)
            await asyncio.to_thread(own_redis.start)
            await hear("standings", under_way=0)
            players = [Player(lambda: url_of(server), name) for name in ("one", "two")]
            for player in players:
                await player.join(2)
            await asyncio.gather(*(player.play() for player in players))
            await hear("frame", completed=1)
