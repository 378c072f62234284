"""Where benchmarks run: a vhost, a Redis database and a folder of their own; all of it ends with them."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superhero.config import from_env
from superhero.errors import ServiceError
from superhero.ops.line_count import LineCount
from superhero.ops.processes import Process, Processes, celery_argv, project_root
from superhero.ops.services import Services, open_services
from superhero.ops.waiting import wait_until

READY_S = 60.0
LOOK_EVERY_S = 0.01


@dataclass(slots=True)
class Stage:
    """What a benchmark is given. `small` asks for a run of seconds that only shows that everything works."""

    services: Services
    folder: Path
    processes: Processes
    small: bool
    with_peers: bool = True
    _count: int = 0

    def amount(self, full: int, small: int) -> int:
        """Return one of two sizes."""
        return small if self.small else full

    def amount_list(self, full: list[int], small: list[int]) -> list[int]:
        """Return one of two lists of sizes."""
        return small if self.small else full

    def fresh_folder(self, name: str) -> Path:
        """Return a new folder; names may repeat."""
        self._count += 1
        folder = self.folder / f"{self._count:03}-{name}"
        folder.mkdir()
        return folder

    def peers_python(self) -> Path | None:
        """Return the Python that has the peers installed; None when there is none, or they are not wanted."""
        return peers_python() if self.with_peers else None

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> Process:
        """Start a process with the benchmarks' services in its environment, and ours not."""
        self._count += 1
        ours = {
            "PYTHONPATH": str(project_root()),
            "BENCH_BROKER_URL": self.services.broker_url,
            "BENCH_REDIS_URL": self.services.redis_url,
            "BROKER_URL": self.services.broker_url,
            "REDIS_URL": self.services.redis_url,
            "SINKS": "",
            "CHANNELS": "",
        }
        log = self.folder / f"{self._count:03}-{name}.log"
        return self.processes.start(name, argv, {**ours, **(env or {})}, log, project_root())

    def worker(self, output_dir: Path, channel: str = "", concurrency: int = 2) -> Process:
        """Start one of our workers with so many children, and wait until it consumes."""
        argv = celery_argv("worker", "--concurrency", str(concurrency))
        name = f"ours{self._count}"
        env = {"OUTPUT_DIR": str(output_dir), "CHANNELS": channel}
        worker = self.start("worker", [*argv, "--hostname", f"{name}@bench"], env)
        worker.wait_for_line("ready as ", READY_S)
        return worker

    def run(self, name: str, argv: Sequence[str], timeout_s: float = 600.0, **env: str) -> dict[str, Any]:
        """Run a program to its end and return what it says in JSON."""
        process = self.start(name, argv, env)
        if process.wait(timeout_s) is None:
            process.stop()
            raise ServiceError(f"{name} did not end within {timeout_s:g} s")
        return said_by(process)


def peers_python() -> Path | None:
    """Return the Python that has the peers installed; None when `make bench` has not made it."""
    python = project_root() / ".venv-peers" / "bin" / "python"
    return python if python.exists() else None


def said_by(process: Process) -> dict[str, Any]:
    """Return the last line of JSON that a process printed. Raise ServiceError if it failed."""
    process.wait(READY_S)
    if process.returncode != 0:
        raise ServiceError(f"{process.name} ended with {process.returncode}:\n{process.tail()}")
    lines = process.log_path.read_text(encoding="utf-8", errors="replace").splitlines()
    said: dict[str, Any] = json.loads([line for line in lines if line.startswith("{")][-1])
    return said


@contextmanager
def open_stage(*, small: bool, with_peers: bool) -> Iterator[Stage]:
    """Yield a stage, and clear it away afterwards, whatever happened on it."""
    folder = Path(tempfile.mkdtemp(prefix="superhero-bench-"))
    settings = from_env()
    explicit = "BROKER_URL" in os.environ or "REDIS_URL" in os.environ
    try:
        with open_services(settings, workdir=folder, explicit=explicit, fresh=True) as services:
            if not services.kind.endswith("rabbitmq"):
                raise ServiceError("benchmarks need RabbitMQ: start it, or install rabbitmq-server")
            with Processes() as processes:
                yield Stage(services, folder, processes, small, with_peers)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Lines(LineCount):
    """The lines of a folder's *.jsonl files, waited for."""

    def wait_for(self, count: int, timeout_s: float) -> float:
        """Wait for so many lines and return when they were there. Raise ServiceError if they do not come.

        By the monotonic clock, and by when the files were last written to, which the kernel notes some
        milliseconds exact: to read and count tens of megabytes takes longer than that, and is not the
        contestant's time. Written, that is, and readable; the last sync follows within a millisecond or two.
        """
        if not wait_until(lambda: self.look() >= count, timeout_s, LOOK_EVERY_S):
            raise ServiceError(
                f"{self.look()} of {count} lines stand in {self._folder} after {timeout_s:g} s"
            )
        written_ago_s = time.time() - max(path.stat().st_mtime for path in self._folder.glob(self._pattern))
        return time.monotonic() - max(written_ago_s, 0.0)
