"""Who may connect to the simulator's server, and how much one may ask of it."""

from __future__ import annotations

import asyncio
import json
import random
from ipaddress import ip_network
from typing import Any

import api_v1
import httpx
import pytest
import redis.asyncio as redis
from api_v1 import FIND, LOBBY, LOGIN, Player, ask
from patience import Eventually
from serving import give_heroes, serving, url_of
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from superhero import keys
from superhero.client import Bot
from superhero.crowd import Crowd
from superhero.errors import ServiceError
from superhero.server.app import GameServer, ServerConfig
from superhero.server.limits import Limits

SECRET = "a-secret-of-this-test"
LOOPBACK = (ip_network("127.0.0.0/8"),)


async def status_of(server: GameServer, path: str = LOGIN, **headers: str) -> int:
    """Return the HTTP status of an opening handshake; 101 when it succeeds."""
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        async with connect(f"{url_of(server)}{path}", additional_headers=shown, proxy=None):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


async def health(server: GameServer, **headers: str) -> dict[str, Any]:
    """Return what /healthz says."""
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"http://127.0.0.1:{server.port}/healthz", headers=headers)
    assert answer.status_code == 200
    report: dict[str, Any] = answer.json()
    return report


@pytest.fixture(autouse=True)
def heroes(redis_url: str) -> None:
    """Put heroes into the test's Redis."""
    give_heroes(redis_url)


async def test_whoever_does_not_show_the_secret_is_turned_away(redis_url: str) -> None:
    async with serving(redis_url, secret=SECRET) as server:
        assert await status_of(server) == 401
        assert await status_of(server, path="/nothing/here") == 404
        for shown in ("", "Bearer", "Bearer wrong", f"Basic {SECRET}", SECRET, f"Bearer {SECRET}x"):
            assert await status_of(server, Authorization=shown) == 401, shown
        assert await status_of(server, f"{LOGIN}?secret={SECRET}") == 401
        assert await status_of(server, Authorization=f"Bearer {SECRET}") == 101
        assert await status_of(server, Authorization=f"bearer  {SECRET}") == 101


async def test_a_page_of_another_site_may_not_play_by_the_browser_of_who_visits_it(redis_url: str) -> None:
    async with serving(redis_url) as server:
        assert await status_of(server) == 101
        # What the package websocket-client sends unasked.
        assert await status_of(server, Origin=f"http://127.0.0.1:{server.port}") == 101
        for origin in ("https://evil.example", f"http://127.0.0.1:{server.port + 1}", "null"):
            for path in (LOGIN, FIND, LOBBY):
                assert await status_of(server, path, Origin=origin) == 403, (origin, path)
    async with serving(redis_url, secret=SECRET) as server:
        shown = {"Authorization": f"Bearer {SECRET}", "Origin": "https://behind-a-proxy.example"}
        assert await status_of(server, **shown) == 101


async def test_health_is_open_and_tells_what_the_server_did_only_to_who_knows_the_secret(
    redis_url: str,
) -> None:
    async with serving(redis_url, secret=SECRET) as server:
        assert await health(server) == {"status": "ok"}
        assert await health(server, Authorization="Bearer wrong") == {"status": "ok"}
        assert "games" in await health(server, Authorization=f"Bearer {SECRET}")
    async with serving(redis_url) as server:
        assert "games" in await health(server)


async def test_bots_that_know_the_secret_play_and_others_give_up_at_once(redis_url: str) -> None:
    async with serving(redis_url, secret=SECRET) as server:
        bots = [
            Bot(f"bot-{number}", [url_of(server)], random.Random(number), secret=SECRET)
            for number in range(4)
        ]
        crowd = Crowd(bots, random.Random(7), (2, 2))
        await crowd.play(2)
        assert crowd.score.games_completed == 4
        for secret in ("", "another-secret-altogether"):
            stranger = Bot("stranger", [url_of(server)], random.Random(1), secret=secret)
            with pytest.raises(ServiceError, match="set SERVER_SECRET") as caught:
                await asyncio.wait_for(stranger.login(), 5)
            assert "another-secret" not in str(caught.value)


async def test_connections_over_the_limit_are_turned_away_and_room_is_found_again(
    redis_url: str, eventually: Eventually
) -> None:
    async with serving(redis_url, limits=Limits(connections_per_address=2)) as server:
        async with api_v1.connected(url_of(server), LOGIN), api_v1.connected(url_of(server), FIND):
            assert await status_of(server) == 429
            assert "games" in await health(server)

        async def let_in() -> bool:
            return await status_of(server) == 101

        await eventually(let_in)


async def test_connections_are_limited_in_all_as_well(redis_url: str, eventually: Eventually) -> None:
    async with serving(redis_url, limits=Limits(connections=2)) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)  # says nothing, and counts
        async with api_v1.connected(url_of(server), LOGIN):
            assert await status_of(server) == 429
            writer.close()
            await writer.wait_closed()

            async def let_in() -> bool:
                return await status_of(server) == 101

            await eventually(let_in)
        assert not await reader.read()


async def test_a_handshake_that_fails_keeps_no_place(redis_url: str, eventually: Eventually) -> None:
    async with serving(redis_url, limits=Limits(connections_per_address=1)) as server:
        for _ in range(5):
            _, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /api/v1/login HTTP/1.1\r\nHost: x\r\n\r\n")  # no WebSocket at all
            writer.transport.abort()

        async def let_in() -> bool:
            return await status_of(server) == 101

        await eventually(let_in)


async def test_what_a_proxy_of_ours_says_of_an_address_counts(redis_url: str) -> None:
    limits = Limits(connections_per_address=1, trusted_proxies=LOOPBACK)
    async with serving(redis_url, limits=limits) as server:
        forwarded = {"X-Forwarded-For": "1.1.1.1, 192.0.2.1"}
        async with connect(f"{url_of(server)}{LOGIN}", additional_headers=forwarded, proxy=None):
            assert await status_of(server, X_Forwarded_For="192.0.2.1") == 429
            assert await status_of(server, X_Forwarded_For="1.1.1.1") == 101


async def test_nobody_else_is_believed_about_its_address(redis_url: str) -> None:
    async with (
        serving(redis_url, limits=Limits(connections_per_address=1)) as server,
        api_v1.connected(url_of(server), LOGIN),
    ):
        assert await status_of(server, X_Forwarded_For="192.0.2.1") == 429


async def test_requests_over_the_limit_are_refused_and_not_carried_out(redis_url: str) -> None:
    async with (
        serving(redis_url, limits=Limits(requests_per_connection=2)) as server,
        api_v1.connected(url_of(server), LOGIN) as line,
    ):
        for number in range(3):
            await api_v1.say(line, USER=f"user {number}")
        answers = [await api_v1.hear(line) for _ in range(3)]
        assert [answer.get("STATUS") for answer in answers[:2]] == ["USER CREATED"] * 2
        assert answers[2] == {"PAYLOAD": {}, "STATUS": "TOO MANY REQUESTS"}
        async with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            assert sorted(await client.hkeys(keys.users())) == ["user 0", "user 1"]
        await api_v1.say(line, USER="user 3")  # read once there is room again
        assert (await api_v1.hear(line))["STATUS"] == "USER CREATED"


async def test_requests_of_an_address_are_limited_over_all_its_connections(redis_url: str) -> None:
    async with serving(redis_url, limits=Limits(requests_per_address=3)) as server:
        answers = [await ask(url_of(server), LOGIN, USER="one") for _ in range(4)]
        assert [answer.get("STATUS") for answer in answers].count("TOO MANY REQUESTS") == 1


async def test_a_lobby_refuses_what_comes_too_fast_and_pushes_all_the_same(redis_url: str) -> None:
    async with serving(redis_url, limits=Limits(requests_per_connection=3)) as server:
        players = [Player(lambda: url_of(server), name) for name in ("one", "two")]
        await players[0].join(2)
        async with api_v1.connected(url_of(server), LOBBY) as lobby:
            for _ in range(4):
                await api_v1.say(lobby, GAME_TOKEN=players[0].game, USER_TOKEN=players[0].token)
            heard = [(await api_v1.hear(lobby))["STATUS"] for _ in range(3)]
            assert heard == ["LOBBY CONNECTION IS IN USE"] * 2 + ["TOO MANY REQUESTS"]
            await players[1].join(2)
            assert (await api_v1.hear(lobby))["STATUS"] == {"GAME": "START"}


async def test_new_users_are_limited_and_known_ones_are_not(redis_url: str) -> None:
    async with serving(redis_url, limits=Limits(new_users_per_address=2)) as server:
        tokens = [await api_v1.login(url_of(server), name) for name in ("one", "two")]
        assert await ask(url_of(server), LOGIN, USER="three") == {
            "PAYLOAD": {},
            "STATUS": "TOO MANY NEW USERS",
        }
        assert [await api_v1.login(url_of(server), name) for name in ("one", "two")] == tokens


async def test_bots_under_tight_limits_are_slowed_down_and_finish_every_game(redis_url: str) -> None:
    limits = Limits(requests_per_connection=30, requests_per_address=150)
    async with serving(redis_url, limits=limits) as server:
        bots = [Bot(f"bot-{number}", [url_of(server)], random.Random(number)) for number in range(6)]
        crowd = Crowd(bots, random.Random(7), (3, 3))
        await asyncio.wait_for(crowd.play(2), 60)
    assert crowd.score.all_completed
    assert crowd.score.games_completed == 4


async def test_hundreds_of_bots_from_one_address_play_unhindered_by_default(redis_url: str) -> None:
    async with serving(redis_url) as server:
        bots = [Bot(f"bot-{number}", [url_of(server)], random.Random(number)) for number in range(200)]
        crowd = Crowd(bots, random.Random(7), (2, 4))
        await crowd.play(1)
        assert not any((await health(server))["refused"].values())
    assert crowd.score.all_completed


async def test_health_tells_how_often_somebody_was_refused(redis_url: str) -> None:
    limits = Limits(connections_per_address=1, requests_per_connection=1, new_users_per_address=1)
    async with serving(redis_url, secret=SECRET, limits=limits) as server:
        known = {"Authorization": f"Bearer {SECRET}"}
        assert await status_of(server) == 401
        async with connect(f"{url_of(server)}{LOGIN}", additional_headers=known, proxy=None) as line:
            assert await status_of(server, **known) == 429
            for name in ("one", "two"):
                await api_v1.say(line, USER=name)
            assert [(await api_v1.hear(line))["STATUS"] for _ in range(2)][1] == "TOO MANY REQUESTS"
            await api_v1.say(line, USER="two")
            assert (await api_v1.hear(line))["STATUS"] == "TOO MANY NEW USERS"
        refused = (await health(server, **known))["refused"]
    assert refused == {"secrets": 1, "connections": 1, "requests": 1, "new_users": 1}


async def test_the_secret_stands_in_no_representation(redis_url: str) -> None:
    assert SECRET not in repr(ServerConfig(redis_url, secret=SECRET))
    async with serving(redis_url, secret=SECRET) as server:
        assert SECRET not in json.dumps(await health(server, Authorization=f"Bearer {SECRET}"))
