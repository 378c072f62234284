"""The master of a replicated Redis is killed while games run: they go on, and no record is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from patience import WaitUntil

from superhero import keys
from superhero.ops.run import PipelineRun, played
from superhero.ops.sentinels import SentinelTrio
from superhero.ops.services import Services
from superhero.ops.tally import tally
from superhero.redis_clients import client

pytestmark = [pytest.mark.rabbitmq, pytest.mark.acceptance]

PLAYERS, GAMES = 8, 60


@pytest.mark.timeout(240)
def test_games_go_on_when_their_redis_fails_over_and_no_record_is_lost(
    broker_url: str, tmp_path: Path, wait_until: WaitUntil
) -> None:
    with SentinelTrio(tmp_path / "redis") as trio:
        services = Services(broker_url, trio.url(), "rabbitmq")
        with PipelineRun(services, tmp_path / "run") as run:
            run.start_server()
            run.start_workers(1, 1)
            bots = run.start_bots(PLAYERS, GAMES, seed=7)
            wait_until(lambda: run.emitted() > 300 and going_on(trio.url()), 30)
            old, begun = trio.master(), run.emitted()
            old.kill9()
            report = played(bots, 180)
            assert trio.master() is not old
            assert run.wait_until_written()
            found = tally(run.output_dir, report.game_tokens, run.emitted())
    assert report.games_completed >= GAMES
    assert found.records_emitted > begun
    assert (found.records_lost, found.records_duplicated, found.games_lost) == (0, 0, 0)


def going_on(url: str) -> bool:
    """Tell whether a game has begun and not ended."""
    with client(url, decode_responses=True, socket_timeout=2) as state:
        try:
            games = state.zrange(keys.deadlines(), 0, -1)
            return any(state.get(keys.status(game)) == "STARTED" for game in games)
        except redis.RedisError:
            return False
