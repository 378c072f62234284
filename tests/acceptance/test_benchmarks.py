"""The benchmarks run to their end on real services; how fast, no test says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from superhero.ops.processes import Processes

pytestmark = [pytest.mark.rabbitmq, pytest.mark.acceptance]

TABLES = {
    "log-call",
    "to-disk",
    "peers",
    "latency",
    "simulator",
    "arena",
    "simulate",
    "backlog-memory",
    "backlog-rate",
    "loss-window",
    "workers",
    "verify",
    "sinks",
    "query",
}


@pytest.mark.timeout(600)
def test_a_small_run_of_every_benchmark_ends_with_its_tables(
    processes: Processes, project_root: Path, tmp_path: Path
) -> None:
    argv = [sys.executable, "-m", "benchmarks", "--small", "--without-peers", "--out", str(tmp_path)]
    run = processes.start("bench", argv, None, tmp_path / "bench.log", project_root)
    assert run.wait(580.0) == 0, run.tail()
    found = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    tables = {table["name"] for suite in found["suites"].values() for table in suite["tables"]}
    assert tables == TABLES
    assert not list(Path(tmp_path).glob("superhero-bench-*"))
