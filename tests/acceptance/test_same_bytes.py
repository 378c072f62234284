"""One seed, the same bytes: in every process, and whatever the number of workers that write them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from patience import WaitUntil

from superhero.ops.processes import Processes, celery_argv, superhero_argv

pytestmark = pytest.mark.acceptance

RUN = [
    *("simulate", "--games", "150", "--seed", "7", "--players", "30", "--session-games", "5"),
    *("--shape", "bursts", "--skill", "mixed", "--hero-mix", "popular"),
    *("--late", "0.05", "--out-of-order", "0.1", "--duplicated", "0.1"),
    *("--malformed", "0.02", "--schema-changed", "0.05", "--skewed-clock", "0.05"),
]


def superhero(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    argv = superhero_argv(*arguments)
    env = {**os.environ, **environ}
    return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_two_processes_generate_the_same_bytes(tmp_path: Path) -> None:
    places = [("UTC", "0", "C"), ("Asia/Kathmandu", "1", "C.UTF-8")]
    for number, (zone, hash_seed, language) in enumerate(places):
        files = ("--to", str(tmp_path / f"{number}.jsonl"), "--answer-key", str(tmp_path / f"{number}.json"))
        done = superhero(*RUN, *files, TZ=zone, PYTHONHASHSEED=hash_seed, LC_ALL=language)
        assert done.returncode == 0, done.stderr
    for suffix in ("jsonl", "json"):
        assert (tmp_path / f"0.{suffix}").read_bytes() == (tmp_path / f"1.{suffix}").read_bytes()


@pytest.mark.rabbitmq
def test_one_worker_and_three_leave_the_same_bytes(
    broker_url: str,
    redis_url: str,
    tmp_path: Path,
    project_root: Path,
    processes: Processes,
    wait_until: WaitUntil,
) -> None:
    key = tmp_path / "expected.json"
    written = {}
    for workers in (1, 3):
        sink = tmp_path / f"by-{workers}"
        environ = {"BROKER_URL": broker_url, "REDIS_URL": redis_url, "SINKS": f"json:{sink}"}
        for number in range(workers):
            argv = celery_argv("worker", "--concurrency", "1", "--hostname", f"{workers}-{number}@test")
            log = tmp_path / f"worker-{workers}-{number}.log"
            processes.start(f"worker{number}", argv, environ, log, project_root)
        done = superhero(*RUN, "--answer-key", str(key), **environ)
        assert done.returncode == 0, done.stderr
        verify = ("verify", "--expect", str(key))
        wait_until(lambda v=verify, e=environ: superhero(*v, **e).returncode == 0, timeout_s=60, every_s=0.5)
        processes.stop()
        written[workers] = lines_of(sink / "superhero")
    assert written[1] == written[3]


def lines_of(folder: Path) -> dict[str, list[bytes]]:
    """Return the lines of every file by its path; those of a stream, which have no order, sorted."""
    return {
        str(path.relative_to(folder)): sorted(path.read_bytes().splitlines(keepends=True))
        for path in folder.rglob("*.jsonl")
    }
