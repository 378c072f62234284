"""A run with every fault, through a real broker and real workers, comes out as its answer key says."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from patience import WaitUntil

from superhero.ops.processes import Processes, celery_argv, superhero_argv
from superhero.ops.quarantine import Selection, look

pytestmark = [pytest.mark.acceptance, pytest.mark.rabbitmq]

FAULTS = [
    *("--late", "0.05", "--out-of-order", "0.1", "--duplicated", "0.1"),
    *("--malformed", "0.05", "--schema-changed", "0.1", "--skewed-clock", "0.05"),
]


def test_the_sink_and_the_quarantine_hold_what_the_answer_key_says(
    broker_url: str,
    redis_url: str,
    tmp_path: Path,
    project_root: Path,
    processes: Processes,
    wait_until: WaitUntil,
) -> None:
    environ = {"BROKER_URL": broker_url, "REDIS_URL": redis_url, "SINKS": f"json:{tmp_path}"}
    key = tmp_path / "expected.json"

    def superhero(*arguments: str) -> subprocess.CompletedProcess[str]:
        argv = superhero_argv(*arguments)
        return subprocess.run(
            argv, cwd=project_root, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60
        )

    simulated = superhero("simulate", "--games", "100", "--seed", "7", *FAULTS, "--answer-key", str(key))
    assert simulated.returncode == 0, simulated.stderr
    told: dict[str, Any] = json.loads(key.read_text())
    for number in (1, 2):
        argv = celery_argv("worker", "--concurrency", "1", "--hostname", f"worker{number}@test")
        processes.start(f"worker{number}", argv, environ, tmp_path / f"worker{number}.log", project_root)

    def quarantined() -> list[str]:
        return sorted({i for letter in look(broker_url, Selection()) for i in letter.record_ids})

    wait_until(lambda: quarantined() == told["quarantined"], timeout_s=60, every_s=0.5)
    verify = ("verify", "--expect", str(key), "--quarantine")
    wait_until(lambda: superhero(*verify).returncode == 0, timeout_s=60, every_s=0.5)
    superhero("compact", "--grace", "0")
    assert superhero(*verify).returncode == 0
