"""A Redis behind real Sentinels: its clients come to the new master by themselves when the old one dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from patience import Eventually, WaitUntil
from redis.asyncio import Redis
from redis.exceptions import RedisError

from superhero.errors import ServiceError
from superhero.ops.claims import claimed_database
from superhero.ops.reach import reach
from superhero.ops.sentinels import SentinelTrio
from superhero.redis_clients import client
from superhero.server.link import Link, pool

FAILOVER_S = 30


@pytest.fixture
def trio(tmp_path: Path) -> Iterator[SentinelTrio]:
    """Give the test three servers of its own and the Sentinels that watch them."""
    with SentinelTrio(tmp_path) as servers:
        yield servers


async def test_the_server_s_pool_comes_to_the_new_master(trio: SentinelTrio, eventually: Eventually) -> None:
    async with Redis.from_pool(pool(trio.url(), 4)) as state:
        await state.set("hero", "Storm")
        assert await state.wait(2, 5000) == 2
        trio.master().kill9()

        async def moved() -> bool:
            try:
                return bool(await state.set("hero", "Rogue", get=True) == "Storm")
            except RedisError:
                return False

        await eventually(moved, FAILOVER_S, 0.2)


def test_a_worker_s_client_comes_to_the_new_master_and_the_old_one_comes_back_as_a_replica(
    trio: SentinelTrio, wait_until: WaitUntil
) -> None:
    with client(trio.url(3), decode_responses=True, socket_timeout=2) as state:
        state.set("hero", "Storm")
        assert state.wait(2, 5000) == 2
        old = trio.master()
        old.kill9()

        def hero() -> object:
            try:
                return state.get("hero")
            except redis.RedisError:
                return None

        assert wait_until(hero, FAILOVER_S, 0.2) == "Storm"
        state.set("hero", "Rogue")
        assert trio.master() is not old
    old.start()
    with redis.Redis.from_url(old.url(3), decode_responses=True, socket_timeout=2) as was_master:

        def follows() -> bool:
            try:
                return was_master.role()[0] == "slave" and was_master.get("hero") == "Rogue"
            except redis.RedisError:
                return False

        wait_until(follows, FAILOVER_S, 0.2)


def test_a_master_that_was_replaced_is_given_up_at_the_first_write_that_it_refuses(
    trio: SentinelTrio, wait_until: WaitUntil
) -> None:
    old = trio.master()
    with client(trio.url(), socket_timeout=2) as state, redis.Redis.from_url(old.url()) as direct:
        state.set("hero", "Storm")
        new = next(server for server in trio.servers if server is not old)
        # As after a failover that nobody told this client of; its connection stays.
        direct.replicaof("127.0.0.1", new.port)
        with pytest.raises(redis.ConnectionError, match="previous master"):
            state.set("hero", "Rogue")
        direct.replicaof("NO", "ONE")

        def written() -> bool:
            try:
                return bool(state.set("hero", "Rogue"))
            except redis.RedisError:
                return False

        wait_until(written, FAILOVER_S, 0.2)


async def test_the_link_that_a_server_s_tasks_share_gives_up_a_replaced_master_too(
    trio: SentinelTrio, eventually: Eventually
) -> None:
    old, link = trio.master(), Link(trio.url())
    try:
        await link.call("SET", "hero", "Storm")
        new = next(server for server in trio.servers if server is not old)
        with redis.Redis.from_url(old.url()) as direct:
            direct.replicaof("127.0.0.1", new.port)
            with pytest.raises(redis.ConnectionError, match="previous master"):
                await link.call("SET", "hero", "Rogue")
            direct.replicaof("NO", "ONE")

        async def written() -> bool:
            try:
                return bool(await link.call("SET", "hero", "Rogue"))
            except RedisError:
                return False

        await eventually(written, FAILOVER_S, 0.2)
    finally:
        await link.close()


def test_a_database_behind_sentinels_can_be_claimed_and_reached(trio: SentinelTrio) -> None:
    assert reach(trio.url()).reachable
    with claimed_database(trio.url()) as url:
        assert "/mymaster/15?" in url
        with client(url, decode_responses=True) as state:
            assert state.set("hero", "Storm")


def test_nobody_there_is_told_in_a_sentence(tmp_path: Path) -> None:
    trio = SentinelTrio(tmp_path)
    answer = reach(trio.url())
    assert "No master found for 'mymaster'" in answer.error
    with pytest.raises(ServiceError, match="no master"):
        trio.master()
