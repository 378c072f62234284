"""`honcho start`: the Procfile's processes fight and ingest, and stopping them loses nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
import pytest
from kombu import Connection
from patience import WaitUntil

from superhero.events import CHANNELS
from superhero.ops.depths import dead_letters, depth
from superhero.ops.embedded import free_port
from superhero.ops.processes import Processes, celery_argv, superhero_argv
from superhero.ops.tally import count_files, count_rows
from superhero.ops.verify import verify
from superhero.transport.topology import UNROUTED_NAME

pytestmark = [pytest.mark.rabbitmq, pytest.mark.acceptance]


def waiting(broker_url: str) -> int:
    """Return how many messages wait for a worker."""
    with Connection(broker_url) as connection:
        return sum(depth(connection, queue) for queue in (*CHANNELS, UNROUTED_NAME))


def test_the_procfile_runs_the_whole_and_stopping_it_loses_nothing(
    processes: Processes,
    broker_url: str,
    redis_url: str,
    tmp_path: Path,
    project_root: Path,
    wait_until: WaitUntil,
) -> None:
    port, flower_port, output = free_port(), free_port(), tmp_path / "data"
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "BROKER_URL": broker_url,
        "REDIS_URL": redis_url,
        "OUTPUT_DIR": str(output),
        "SERVER_PORT": str(port),
        "PLAYERS": "6",
        "WORKER_CONCURRENCY": "1",
        "FLOWER_PORT": str(flower_port),
        "FLOWER_BASIC_AUTH": "me:secret",
        "FLOWER_DB": str(tmp_path / "flower.db"),
    }
    argv = [sys.executable, "-m", "honcho", "start", "--env", os.devnull]
    honcho = processes.start("honcho", argv, environ, tmp_path / "honcho.log", project_root)
    honcho.wait_for_line(r"server\.1 .*listening on ", 60)
    wait_until(lambda: count_files(output, "GAME_PODIUM") > 20, timeout_s=60, every_s=0.1)
    with httpx.Client(base_url=f"http://127.0.0.1:{flower_port}", trust_env=False) as http:
        assert http.get("/tasks").status_code == 401
        assert http.get("/tasks", auth=("me", "secret")).status_code == 200
    assert honcho.stop(20) >= 0, honcho.tail()

    # What was on its way is on the broker or in Redis; a worker and a server bring it home.
    worker = celery_argv("worker", "--concurrency", "1")
    processes.start("worker", worker, environ, tmp_path / "worker.log", project_root)
    server = processes.start(
        "server", superhero_argv("serve"), environ, tmp_path / "server.log", project_root
    )
    server.wait_for_line("listening on ", 30)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        wait_until(lambda: http.get("/healthz").json()["transport"]["waiting"] == 0)
    assert server.stop(20) == 0, server.tail()
    wait_until(lambda: waiting(broker_url) == 0, timeout_s=30)
    processes.stop(30)

    assert dead_letters(broker_url) == 0
    verdict = verify(output)
    assert verdict.clean, verdict
    assert verdict.games.ingested > 20
    assert count_rows(output, "RECORDS") == verdict.total().attempted
