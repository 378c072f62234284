"""The connection to Redis that a server's tasks share, and what a server knows of its games unasked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvloop
from api_v1 import ACTION, Player, ask
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, ResponseError
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


def test_under_uvloop_too_a_connection_that_was_closed_is_lost_and_another_made(redis_url: str) -> None:
    async def lose() -> object:
        link = Link(redis_url)
        try:
            await link.call("PING")
            assert link._wire is not None
            link._wire._connection._writer.transport.abort()
            with pytest.raises(RedisConnectionError):
                await link.call("PING")
            return await link.call("ECHO", "again")
        finally:
            await link.close()

    assert uvloop.run(lose()) == "again"


class Deaf:
    """What looks like a Redis: says +OK to all commands up to `stops_at`, and then reads no more.

    attempts  connections that came
    stopped   set once it reads no more
    """

    def __init__(self, stops_at: bytes) -> None:
        self.attempts = 0
        self.stopped = asyncio.Event()
        self._stops_at = stops_at
        self._writers: list[asyncio.StreamWriter] = []

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection."""
        self.attempts += 1
        self._writers.append(writer)
        while line := await reader.readline():
            words = int(line[1:])
            _, name = await reader.readline(), await reader.readline()
            if self._stops_at in name:
                self.stopped.set()
                return
            for _ in range(2 * (words - 1)):
                await reader.readline()
            writer.write(b"+OK\r\n")

    def hang_up(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()


@asynccontextmanager
async def deaf(stops_at: bytes) -> AsyncIterator[tuple[Deaf, Link]]:
    redis = Deaf(stops_at)
    async with await asyncio.start_server(redis.take, "127.0.0.1", 0) as listener:
        link = Link(f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/1")
        yield redis, link
        await link.close()
        redis.hang_up()


async def test_all_who_wait_for_a_connection_share_one_attempt_and_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(link_module, "TIMEOUT_S", 0.2)
    async with deaf(stops_at=b"") as (redis, link):
        for refused in await asyncio.gather(*(link.call("PING") for _ in range(50)), return_exceptions=True):
            assert isinstance(refused, RedisConnectionError) and "no answer within" in str(refused)
        assert redis.attempts == 1


async def test_a_write_that_redis_does_not_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "TIMEOUT_S", 0.2)
    async with deaf(stops_at=b"ECHO") as (_, link):
        for _ in range(2):
            with pytest.raises(RedisConnectionError, match="no answer within"):
                await link.call("ECHO", "x" * 16_000_000)
            assert link.wire == 0


async def test_a_link_that_closes_while_it_connects_tells_who_waits() -> None:
    async with deaf(stops_at=b"") as (redis, link):
        waiting = asyncio.create_task(link.call("PING"))
        await redis.stopped.wait()
        await link.close()
        with pytest.raises(RedisConnectionError, match="closed"):
            await waiting


async def test_what_cannot_be_sent_is_told_to_who_asked_and_to_nobody_else(link: Link) -> None:
    class Unsayable(str):
        """A text that cannot be put into bytes."""

        def encode(self, *_: object) -> bytes:
            """Fail, not as Redis's client fails."""
            raise LookupError("no words for it")

    replies = await asyncio.gather(
        link.call("ECHO", "before"),
        link.call("ECHO", object()),
        link.call("ECHO", Unsayable("?")),
        link.call("ECHO", "after"),
        return_exceptions=True,
    )
    assert [type(reply) for reply in replies] == [str, DataError, LookupError, str]
    assert (replies[0], replies[3], link.wire) == ("before", "after", 1)


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
