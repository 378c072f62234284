"""A server with SPOOL_DIR: what it could not send outlives it, and the next one sends it."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import api_v1
import httpx
import pytest
import redis
from arrivals import ids
from patience import WaitUntil

from superhero import keys
from superhero.ops.processes import Process, Processes, superhero_argv

pytestmark = [pytest.mark.rabbitmq, pytest.mark.acceptance]

NOBODY = "amqp://127.0.0.1:1//"
LOGINS = 5


@pytest.fixture
def serve(processes: Processes, redis_url: str, tmp_path: Path) -> Callable[[str], tuple[Process, str]]:
    """Return what starts a server for a broker, and gives the process and its URL."""

    def start(broker_url: str) -> tuple[Process, str]:
        env = {"REDIS_URL": redis_url, "BROKER_URL": broker_url, "SPOOL_DIR": str(tmp_path / "spool")}
        argv = superhero_argv("serve", "--port", "0")
        process = processes.start("server", argv, env, tmp_path / "server.log")
        return process, process.wait_for_line(r"listening on (ws://\S+)")[1]

    return start


def test_what_a_killed_server_spooled_is_sent_by_the_next_one(
    serve: Callable[[str], tuple[Process, str]],
    broker_url: str,
    redis_url: str,
    tmp_path: Path,
    wait_until: WaitUntil,
) -> None:
    server, url = serve(NOBODY)

    async def log_in() -> None:
        for number in range(LOGINS):
            await api_v1.login(url, f"user {number}")

    asyncio.run(log_in())
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        (server_id,) = client.zrange(keys.servers(), 0, -1)
        # Safe in the spool, so that Redis may forget it.
        wait_until(lambda: not client.exists(keys.outbox(server_id)))
    server.kill9()
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    following, url = serve(broker_url)
    expected = [f"sim-{server_id}-login:{number}" for number in range(LOGINS)]
    found: set[str] = set()

    def all_arrived() -> bool:
        found.update(ids(broker_url, "superhero.login"))
        return found == set(expected)

    wait_until(all_arrived, 20, 0.2)
    with httpx.Client(trust_env=False) as http:
        report = http.get(f"http{url.removeprefix('ws')}/healthz").json()
    assert report["transport"]["adopted"] == LOGINS
    assert following.stop(20) == 0
