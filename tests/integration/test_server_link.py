"""The connection to Redis that a server's tasks share, and what a server knows of its games unasked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from api_v1 import ACTION, Player, ask
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from serving import give_heroes, serving, url_of

from superhero.identity import public_id
from superhero.server import link as link_module
from superhero.server.app import GameServer
from superhero.server.link import Link


@pytest.fixture
async def link(redis_url: str) -> AsyncIterator[Link]:
    opened = Link(redis_url)
    yield opened
    await opened.close()


async def test_everybody_gets_the_reply_to_its_own_command(link: Link) -> None:
    words = [str(number) for number in range(500)]
    assert await asyncio.gather(*(link.call("ECHO", word) for word in words)) == words
    assert link.wire == 1


async def test_what_redis_refuses_is_told_to_who_asked_and_to_nobody_else(link: Link) -> None:
    replies = await asyncio.gather(
        link.call("ECHO", "before"), link.call("NO SUCH"), link.call("ECHO", "after"), return_exceptions=True
    )
    assert isinstance(replies[1], ResponseError)
    assert (replies[0], replies[2], link.wire) == ("before", "after", 1)


async def test_a_reply_that_nobody_waits_for_any_more_goes_to_nobody_else(link: Link) -> None:
    await link.call("PING")
    given_up = asyncio.create_task(link.call("ECHO", "given up"))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await link.call("ECHO", "mine") == "mine"
    assert given_up.cancelled()


async def test_a_connection_that_gives_no_answer_is_given_up_for_another(
    link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "TIMEOUT_S", 0.1)
    await link.call("PING")
    never = [link.call("BLPOP", "nothing", 0), link.call("PING")]
    for refused in await asyncio.gather(*never, return_exceptions=True):
        assert isinstance(refused, RedisConnectionError)
    assert link.wire == 0
    assert (await link.call("ECHO", "again"), link.wire) == ("again", 2)


async def test_a_closed_connection_is_told_to_who_waits(link: Link) -> None:
    await link.call("PING")
    waiting = asyncio.create_task(link.call("BLPOP", "nothing", 0))
    await asyncio.sleep(0)
    await link.close()
    with pytest.raises(RedisConnectionError, match="closed"):
        await waiting


async def attack(server: GameServer, by: Player, enemy: Player) -> object:
    """Attack, and return the answer's status."""
    request = {"GAME_TOKEN": by.game, "USER_TOKEN": by.token, "ENEMY_TOKEN": public_id(enemy.token)}
    return (await ask(url_of(server), ACTION, **request, ACTION="ATTACK"))["STATUS"]


async def test_a_server_knows_a_game_as_redis_has_it_until_another_server_commits(redis_url: str) -> None:
    give_heroes(redis_url)
    async with serving(redis_url) as server, serving(redis_url) as other:
        players = [Player(lambda: url_of(server), name) for name in ("one", "two")]
        for player in players:
            await player.join(2)
        game = players[0].game
        known = server._store.known(game)
        assert known is not None and known == await server._store.load(game)
        first, second = sorted(players, key=lambda each: known.state.order.index(public_id(each.token)))

        assert "DETAILS" in str(await attack(server, first, second))
        assert server._store.known(game) == await server._store.load(game)
        assert server._store.known(game) != known

        assert "DETAILS" in str(await attack(other, second, first))
        assert server._store.known(game) != await server._store.load(game)
        # Outdated, and by what it says it would not be the first one's turn.
        assert await attack(server, second, first) == "NOT THE USER'S TURN"
        assert "DETAILS" in str(await attack(server, first, second))
        assert server._store.known(game) == await server._store.load(game)

        await server._store._link.close()
        assert server._store.known(game) is None
        assert "DETAILS" in str(await attack(server, second, first))
