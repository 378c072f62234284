"""Bots on real servers and Redis, with everything in between going wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import redis.asyncio as redis
from patience import Eventually

from superhero import keys
from superhero.client import Bot
from superhero.crowd import Crowd
from superhero.errors import ServiceError
from superhero.patience import Trouble
from superhero.roster import shipped, store
from superhero.server.app import GameServer, ServerConfig

LOCAL = "127.0.0.1"


@asynccontextmanager
async def serving(redis_url: str, port: int = 0, **options: Any) -> AsyncIterator[int]:
    """Run a server; yield its port."""
    server = GameServer(ServerConfig(redis_url, port=port, **options))
    running = asyncio.create_task(server.run())
    ready = asyncio.create_task(server.ready.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    try:
        if running.done():
            await running
        yield server.port
    finally:
        server.stop()
        await running


class Cable:
    """A TCP connection between bots and a server that can be cut."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def __aenter__(self) -> Cable:
        self._server = await asyncio.start_server(self._connected, LOCAL, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *raised: object) -> None:
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()

    def cut(self) -> None:
        """Cut every connection there is."""
        for writer in self._writers:
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(LOCAL, self._to_port)
        pair = {writer, far_writer}
        self._writers |= pair
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        self._writers -= pair


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        return
    finally:
        writer.close()


def url(port: int) -> str:
    return f"ws://{LOCAL}:{port}"


def bots(count: int, urls: Sequence[str], **options: Any) -> list[Bot]:
    return [Bot(f"bot-{number}", urls, random.Random(number), **options) for number in range(count)]


async def statuses(redis_url: str) -> dict[str, str]:
    """Return the status of every game in Redis."""
    async with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        games = [key.split(":")[1] async for key in client.scan_iter("games:*:status")]
        return {game: str(await client.get(keys.status(game))) for game in games}


@pytest.fixture
def heroes(redis_url: str) -> None:
    """Load the shipped heroes."""
    store(redis_url, shipped())


@pytest.mark.parametrize("as_published", [False, True])
@pytest.mark.usefixtures("heroes")
async def test_every_game_of_every_round_fills_and_completes(redis_url: str, as_published: bool) -> None:
    async with serving(redis_url) as port:
        crowd = Crowd(bots(9, [url(port)], as_published=as_published), random.Random(7), (2, 4))
        await crowd.play(3)
    assert crowd.score.all_completed
    assert await statuses(redis_url) == dict.fromkeys(crowd.score.tokens, "COMPLETE")
    async with redis.Redis.from_url(redis_url) as client:
        attacks = [await client.llen(keys.logs(game)) for game in crowd.score.tokens]
    assert sum(attacks) == crowd.score.attacks


@pytest.mark.usefixtures("heroes")
async def test_two_crowds_share_a_server(redis_url: str) -> None:
    async with serving(redis_url) as port:
        crowds = [
            Crowd(
                [Bot(f"{name}-{number}", [url(port)], random.Random(number)) for number in range(6)],
                random.Random(name),
                (2, 3),
            )
            for name in ("one", "other")
        ]
        await asyncio.gather(*(crowd.play(4) for crowd in crowds))
    assert all(crowd.score.all_completed for crowd in crowds)
    assert set((await statuses(redis_url)).values()) == {"COMPLETE"}


@pytest.mark.usefixtures("heroes")
async def test_a_bot_goes_on_to_the_next_url_when_one_does_not_answer(redis_url: str) -> None:
    async with serving(redis_url) as port:
        crowd = Crowd(bots(2, [url(1), url(port)]), random.Random(7), (2, 2))
        await crowd.play(2)
    assert crowd.score.games_completed == 2


@pytest.mark.usefixtures("heroes")
async def test_players_of_a_game_may_sit_on_different_servers(redis_url: str) -> None:
    async with serving(redis_url) as one, serving(redis_url) as other:
        players = [
            Bot(f"bot-{number}", [url((one, other)[number % 2])], random.Random(number))
            for number in range(8)
        ]
        crowd = Crowd(players, random.Random(7), (4, 4))
        await crowd.play(3)
    assert (crowd.score.games_completed, crowd.score.all_completed) == (6, True)


@pytest.mark.usefixtures("heroes")
async def test_games_outlive_a_server_that_is_restarted(redis_url: str, eventually: Eventually) -> None:
    async with serving(redis_url) as port:
        crowd = Crowd(bots(8, [url(port)]), random.Random(7), (2, 4))
        playing = asyncio.create_task(crowd.play(6))
        await eventually(lambda: attacks_were_made(redis_url, 20))
    async with serving(redis_url, port=port):
        await playing
    assert crowd.score.failed == 0
    assert crowd.score.rounds == 6
    assert set((await statuses(redis_url)).values()) <= {"COMPLETE", "TIMED OUT"}


@pytest.mark.usefixtures("heroes")
async def test_bots_whose_connections_are_cut_again_and_again_come_to_an_end(
    redis_url: str, eventually: Eventually
) -> None:
    async with (
        serving(redis_url, turn_timeout_s=0.5, lobby_timeout_s=1.0) as port,
        Cable(port) as cable,
    ):
        crowd = Crowd(bots(8, [url(cable.port)]), random.Random(7), (2, 4))
        playing = asyncio.create_task(crowd.play(4))
        for attacks in range(10, 100, 10):
            await eventually(partial(attacks_were_made, redis_url, attacks, or_done=playing))
            cable.cut()
        await playing
    assert (crowd.score.rounds, crowd.score.failed) == (4, 0)
    assert crowd.score.games_completed > 0


async def test_bots_wait_for_heroes(redis_url: str, eventually: Eventually) -> None:
    async with serving(redis_url) as port:
        crowd = Crowd(bots(2, [url(port)]), random.Random(7), (2, 2))
        playing = asyncio.create_task(crowd.play(1))
        async with redis.Redis.from_url(redis_url) as client:
            await eventually(partial(client.hlen, keys.users()))
        await asyncio.to_thread(store, redis_url, shipped())
        await playing
    assert crowd.score.games_completed == 1


@pytest.mark.usefixtures("heroes")
async def test_a_bot_whom_redis_has_forgotten_logs_in_again(redis_url: str) -> None:
    async with serving(redis_url) as port:
        pair = bots(2, [url(port)])
        for bot in pair:
            await bot.login()
        async with redis.Redis.from_url(redis_url) as client:
            await client.delete(keys.users(), keys.known_users())
        ends = [outcome.end for outcome in await asyncio.gather(*(bot.play(2) for bot in pair))]
        await asyncio.gather(*(bot.close() for bot in pair))
    assert ends == ["completed", "completed"]


@pytest.mark.usefixtures("heroes")
async def test_a_game_that_does_not_fill_times_out(redis_url: str) -> None:
    async with serving(redis_url, lobby_timeout_s=0.1) as port:
        (bot,) = bots(1, [url(port)])
        await bot.login()
        assert (await bot.play(2)).end == "timed out"
        await bot.close()


@pytest.mark.usefixtures("heroes")
async def test_what_the_server_refuses_for_good_is_told_at_once(redis_url: str) -> None:
    async with serving(redis_url, max_participants=3) as port:
        (bot,) = bots(1, [url(port)])
        await bot.login()
        with pytest.raises(ServiceError, match="PARTICIPANTS MUST BE 2 TO 3"):
            await bot.play(4)
        await bot.close()


async def test_a_bot_without_a_server_says_so_once_and_gives_up_when_its_patience_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Trouble, "tell_at", 0.0)
    (bot,) = bots(1, [url(1)], patience_s=0.2)
    with pytest.raises(ServiceError, match=r"bot-0 got no further at ws://127\.0\.0\.1:1 for .* Connect"):
        await bot.login()
    with pytest.raises(ServiceError):
        await bot.login(patience_s=0.0)
    (said,) = [record.message for record in caplog.records if record.name == "superhero.patience"]
    assert said.startswith("bot-0 waits for ws://127.0.0.1:1: Connect")


async def attacks_made(redis_url: str) -> int:
    """Return how many attacks were made so far, in all games."""
    async with redis.Redis.from_url(redis_url) as client:
        return sum([await client.llen(key) async for key in client.scan_iter("games:*:logs")])


async def attacks_were_made(redis_url: str, count: int, or_done: asyncio.Task[None] | None = None) -> bool:
    """Whether so many attacks were made, or the task is done."""
    return (or_done is not None and or_done.done()) or await attacks_made(redis_url) >= count
