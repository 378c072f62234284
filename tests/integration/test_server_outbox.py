"""Every committed event is logged, under one id, whatever becomes of the server, the transport or a call."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import api_v1
import pytest
import redis
from api_v1 import ACTION, Player, ask
from serving import give_heroes, logged, serving, url_of

from superhero import keys
from superhero.events import AttackMade, UserLoggedIn
from superhero.identity import public_id
from superhero.server import outbox, store
from superhero.server.app import GameServer, ServerConfig
from superhero.server.link import Link
from superhero.server.outbox import Settled

if TYPE_CHECKING:
    from conftest import Eventually


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers look at each other often, so that no test waits for seconds."""
    monkeypatch.setattr(store, "DEAD_AFTER_S", 0.5)
    monkeypatch.setattr(outbox, "LIVE_EVERY_S", 0.1)
    monkeypatch.setattr(outbox, "SETTLE_EVERY_S", 0.02)


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    """Look into Redis, which has heroes."""
    give_heroes(redis_url)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


class Transport:
    """A transport that says what a test tells it: each of `answers` once, then `answer`."""

    def __init__(self, answer: Settled) -> None:
        self.answers: list[Settled] = []
        self.answer = answer
        self.asked = 0

    def __call__(self) -> Settled:
        """Answer as a transport does."""
        self.asked += 1
        return self.answers.pop(0) if self.answers else self.answer


async def test_events_stay_in_the_outbox_until_the_transport_has_them(
    redis_url: str, client: redis.Redis, eventually: Eventually
) -> None:
    transport = Transport(Settled.WAITING)
    async with serving(redis_url, settle=transport) as server:
        with logged() as log:
            await api_v1.login(url_of(server), "one")
            await eventually(lambda: transport.asked > 2)
            assert client.hkeys(keys.outbox(server.id)) == log.ids()
            transport.answer = Settled.SAFE
            await eventually(lambda: not client.exists(keys.outbox(server.id)))
        assert len(log.records) == 1


async def test_nobody_asks_the_transport_while_nothing_is_logged(redis_url: str, client: redis.Redis) -> None:
    transport = Transport(Settled.SAFE)
    async with serving(redis_url, settle=transport) as server:
        for _ in range(20):
            await ask(url_of(server), api_v1.LOGIN)
        assert transport.asked == 0


async def test_what_the_transport_dropped_is_logged_again_under_its_id(
    redis_url: str, client: redis.Redis, eventually: Eventually
) -> None:
    transport = Transport(Settled.DROPPED)
    async with serving(redis_url, settle=transport) as server:
        with logged() as log:
            await api_v1.login(url_of(server), "one")
            await eventually(lambda: len(log.records) > 1)
            transport.answer = Settled.SAFE
            await eventually(lambda: not client.exists(keys.outbox(server.id)))
        assert len(set(log.ids())) == 1
        first, again = log.records[:2]
        assert (first.created, first.getMessage()) == (again.created, again.getMessage())


async def test_what_was_dropped_is_logged_again_bit_by_bit_and_forgotten_only_then(
    redis_url: str, client: redis.Redis, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LOG_AGAIN_AT_A_TIME", 2)
    transport = Transport(Settled.WAITING)
    async with serving(redis_url, settle=transport) as server:
        with logged() as log:
            for number in range(7):
                await api_v1.login(url_of(server), f"user {number}")
            transport.answers = [Settled.DROPPED]
            transport.answer = Settled.SAFE
            await eventually(lambda: not client.exists(keys.outbox(server.id)))
        assert Counter(log.ids()) == Counter(dict.fromkeys(log.ids(), 2))


@asynccontextmanager
async def dying(redis_url: str, transport: Transport) -> AsyncIterator[GameServer]:
    """Run a server that is gone at the end without a goodbye."""
    server = GameServer(ServerConfig(redis_url), settle=transport)
    running = asyncio.create_task(server.run())
    await server.ready.wait()
    yield server
    while not running.done():
        running.cancel()
        await asyncio.wait({running}, timeout=0.1)


async def test_what_a_dead_server_left_is_logged_by_a_living_one_as_it_was(
    redis_url: str, client: redis.Redis, eventually: Eventually
) -> None:
    with logged() as before:
        async with dying(redis_url, Transport(Settled.WAITING)) as dead:
            players = [Player(lambda: url_of(dead), name) for name in ("one", "two")]
            for player in players:
                await player.join(2)
            await asyncio.gather(*(player.play() for player in players))
    assert client.hlen(keys.outbox(dead.id)) == len(before.records) > 5

    with logged() as after:
        async with serving(redis_url), serving(redis_url):
            await eventually(lambda: not client.exists(keys.outbox(dead.id)))
            await eventually(lambda: client.zscore(keys.servers(), dead.id) is None)
            assert not client.exists(keys.counters(dead.id))
    assert Counter(after.ids()) == Counter(before.ids())
    as_they_were = {record.__dict__["record_id"]: record for record in before.records}
    for record in after.records:
        was = as_they_were[record.__dict__["record_id"]]
        assert record.__dict__["payload"] == was.__dict__["payload"]
        assert (record.created, record.name, record.getMessage()) == (was.created, was.name, was.getMessage())


async def test_a_stopped_server_leaves_what_is_not_safe_to_another(
    redis_url: str, client: redis.Redis, eventually: Eventually
) -> None:
    with logged() as log:
        async with serving(redis_url, settle=Transport(Settled.WAITING)) as stopped:
            await api_v1.login(url_of(stopped), "one")
        assert client.hkeys(keys.outbox(stopped.id)) == log.ids()
        async with serving(redis_url):
            await eventually(lambda: not client.exists(keys.outbox(stopped.id)))
    assert len(log.records) == 2 and len(set(log.ids())) == 1


async def test_a_redis_that_lost_its_memory_gives_no_id_twice(redis_url: str, client: redis.Redis) -> None:
    async with serving(redis_url) as server:
        with logged() as log:
            await api_v1.login(url_of(server), "one")
            client.delete(keys.counters(server.id), keys.users(), keys.known_users())
            await api_v1.login(url_of(server), "one")
        assert [each["created"] for each in log.payloads(UserLoggedIn)] == [True, True]
        assert [record_id.rpartition(":")[2] for record_id in log.ids()] == ["0", "1"]


async def test_a_step_whose_reply_was_lost_is_logged_all_the_same(
    redis_url: str, client: redis.Redis, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Link.call
    lost: list[object] = []

    async def call_and_lose_the_reply(self: Link, *command: Any) -> Any:
        reply = await call(self, *command)
        if not lost and b"enemy_health_post" in repr(command).encode():
            lost.append(reply)
            raise redis.ConnectionError("the connection was lost before the reply came")
        return reply

    async with serving(redis_url) as server:
        players = [Player(lambda: url_of(server), name) for name in ("one", "two")]
        for player in players:
            await player.join(2)
        order = client.lrange(keys.order(players[0].game), 0, -1)
        first, second = sorted(players, key=lambda player: order.index(public_id(player.token)))
        request: dict[str, Any] = {
            "GAME_TOKEN": first.game,
            "USER_TOKEN": first.token,
            "ENEMY_TOKEN": public_id(second.token),
            "ACTION": "ATTACK",
        }
        monkeypatch.setattr(Link, "call", call_and_lose_the_reply)
        with logged() as log:
            answer = await ask(url_of(server), ACTION, **request)
            assert answer == {"PAYLOAD": {}, "STATUS": "GAME STATE NOT AVAILABLE"}
            assert lost and log.payloads(AttackMade) == []
            # It was committed all the same: the turn is over, and one record comes to tell of it.
            assert (await ask(url_of(server), ACTION, **request))["STATUS"] == "NOT THE USER'S TURN"
            await eventually(lambda: log.payloads(AttackMade))
            await eventually(lambda: not client.exists(keys.outbox(server.id)))
            assert [each["turn"] for each in log.payloads(AttackMade)] == [1]


def leave_logins(client: redis.Redis, server: str, count: int) -> list[str]:
    """Put logins into a server's outbox, and return their record ids."""
    payload = {"user": public_id("0" * 32), "created": True}
    entry = json.dumps({"event": UserLoggedIn.name, "time": 1.0, "payload": payload})
    ids = [f"sim-{server}-login:{number}" for number in range(count)]
    client.hset(keys.outbox(server), mapping=dict.fromkeys(ids, entry))
    return ids


async def test_a_large_outbox_is_read_page_by_page_and_whole(redis_url: str, client: redis.Redis) -> None:
    ids = leave_logins(client, "gone", 5000)
    wanted = [*ids[:1500], "sim-gone-login:9999", ids[4000]]
    async with store.Store(redis_url, "living") as games:
        pages = [page async for page in games.outbox_ids("gone")]
        records = [page async for page in games.outbox("gone", wanted)]
    assert len(pages) > 2 and max(map(len, pages)) < 2000
    assert {record_id for page in pages for record_id in page} == set(ids)
    assert [len(page) for page in records] == [1000, 501]
    assert [record.id for page in records for record in page] == [*ids[:1500], ids[4000]]


async def test_much_that_a_dead_server_left_is_taken_over_bit_by_bit_and_logged_once(
    redis_url: str, client: redis.Redis, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "LOG_AGAIN_AT_A_TIME", 1000)
    ids = leave_logins(client, "gone", 5000)
    client.zadd(keys.servers(), {"gone": 0})
    with logged() as log:
        at_each_call = [0]

        def settle() -> Settled:
            at_each_call.append(len(log.records))
            return Settled.SAFE

        async with serving(redis_url, settle=settle):
            await eventually(lambda: client.zscore(keys.servers(), "gone") is None)
    assert not client.exists(keys.outbox("gone"))
    assert Counter(log.ids()) == Counter(ids)
    assert max(after - before for before, after in pairwise(at_each_call)) == 1000
