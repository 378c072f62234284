"""A worker with settings it cannot use does not begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from superhero.ops.processes import Processes, celery_argv


@pytest.mark.parametrize(
    ("sinks", "said"),
    [
        ("json:/tmp/a nosuch:x", "SINKS: no sink is called 'nosuch'"),
        ("parquet:nosuch://bucket", "SINKS cannot be used: no bucket"),
    ],
)
def test_a_worker_whose_sink_cannot_be_opened_ends_with_a_sentence_and_takes_no_record(
    sinks: str, said: str, processes: Processes, redis_broker_url: str, tmp_path: Path, project_root: Path
) -> None:
    argv = celery_argv("worker", "--concurrency", "1")
    env = {"BROKER_URL": redis_broker_url, "SINKS": sinks}
    worker = processes.start("worker", argv, env, tmp_path / "worker.log", project_root)
    assert worker.wait(30) == 1
    assert said in worker.tail()
    assert "Traceback" not in worker.tail(200)
