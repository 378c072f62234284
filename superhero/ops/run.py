"""One run of the whole pipeline as real processes: a server, workers and bots, with a folder of its own.

    <folder>/data     what the workers wrote
    <folder>/logs     what each process printed

Nothing of the caller's environment decides where a run's records go: broker, Redis, sink and output folder
are set for every process.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from superhero.errors import ServiceError
from superhero.ops.embedded import free_port
from superhero.ops.line_count import LineCount
from superhero.ops.processes import Process, Processes, celery_argv, project_root, superhero_argv
from superhero.ops.services import Services
from superhero.ops.waiting import wait_until

_READY_TIMEOUT_S = 60.0
# Longer than a Redis broker takes to hand out again what a killed worker held (VISIBILITY_TIMEOUT).
STALLED_AFTER_S = 30.0


@dataclass(frozen=True, slots=True)
class Played:
    """What the bots saw: games by their tokens, and how long it took them."""

    games_completed: int
    games_timed_out: int
    seconds: float
    games_per_minute: float
    game_tokens: list[str]


class PipelineRun:
    """A context manager; leaving it ends every process. Safe to use from one thread."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.output_dir = (folder / "data").resolve()
        self.log_dir = (folder / "logs").resolve()
        self.records_dir = self.output_dir / "superhero" / "RECORDS"
        self._rows = LineCount(self.records_dir, "*.jsonl")
        self._services = services
        self._processes = Processes()
        self._workers: list[Process] = []
        self._server: Process | None = None
        self._url = ""

    def start_server(self) -> None:
        """Start the simulator on a free port and wait until it listens."""
        port = free_port()
        self._server = self._start(
            "server", superhero_argv("serve", "--host", "127.0.0.1", "--port", str(port))
        )
        self._server.wait_for_line("listening on ", _READY_TIMEOUT_S)
        self._url = f"127.0.0.1:{port}"

    def start_workers(self, count: int, concurrency: int) -> None:
        """Start `count` workers with `concurrency` children each and wait until all of them consume."""
        started = [self._start_worker(concurrency) for _ in range(count)]
        for worker in started:
            worker.wait_for_line(r" ready\.", _READY_TIMEOUT_S)

    def kill_workers(self) -> None:
        """Kill every worker with its children, as a crash would."""
        for worker in self._workers:
            worker.kill9()

    def start_bots(self, players: int, games: int, seed: int) -> Process:
        """Start bots that play `games` games each; see `played`."""
        shape = ("--players", str(players), "--games", str(games), "--seed", str(seed))
        return self._start("bots", superhero_argv("play", *shape, "--url", f"ws://{self._url}", "--json"))

    @property
    def health_url(self) -> str:
        """Where the server tells how it is."""
        return f"http://{self._url}/healthz"

    def emitted(self) -> int:
        """Return how many records the server logged so far."""
        return int(self._transport()["emitted"])

    def published(self) -> int:
        """Return how many of them the broker confirmed."""
        return int(self._transport()["confirmed"])

    def written(self) -> int:
        """Return how many rows stand in RECORDS."""
        return self._rows.look()

    def wait_until_published(self, timeout_s: float = STALLED_AFTER_S) -> bool:
        """Wait until the broker confirmed every record logged; False when time is up before."""
        return wait_until(lambda: self.published() >= self.emitted(), timeout_s)

    def wait_until_written(self, look: Callable[[int], object] = lambda written: None) -> bool:
        """Wait until every record logged is written; False when nothing moved for STALLED_AFTER_S.

        `look` is called with the number of rows at every look at the files, to show progress.
        """
        emitted, written, moved_at = self.emitted(), -1, time.monotonic()

        def over() -> bool:
            nonlocal written, moved_at
            now_written, now = self.written(), time.monotonic()
            if now_written != written:
                written, moved_at = now_written, now
            look(written)
            return written >= emitted or now - moved_at > STALLED_AFTER_S

        wait_until(over, math.inf)
        return written >= emitted

    def stop(self) -> None:
        """End everything: bots, workers and server, the last one started first."""
        self._processes.stop(timeout_s=20.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_worker(self, concurrency: int) -> Process:
        name = f"worker{len(self._workers) + 1}"
        options = ("--concurrency", str(concurrency), "--hostname", f"{name}@%h", "--loglevel", "INFO")
        worker = self._start(name, celery_argv("worker", *options))
        self._workers.append(worker)
        return worker

    def _start(self, name: str, argv: list[str]) -> Process:
        env = {
            "BROKER_URL": self._services.broker_url,
            "REDIS_URL": self._services.redis_url,
            "OUTPUT_DIR": str(self.output_dir),
            "SINKS": "",
            "CHANNELS": "",
            "SERVER_SECRET": "",
            "METRICS_PORT": "",
            "SPOOL_DIR": "",
        }
        return self._processes.start(name, argv, env, self.log_dir / f"{name}.log", project_root())

    def _transport(self) -> dict[str, Any]:
        with httpx.Client(timeout=5.0, trust_env=False) as http:
            try:
                answer = http.get(self.health_url).raise_for_status().json()
            except httpx.HTTPError as error:
                raise ServiceError(f"the server at {self._url} does not answer /healthz: {error}") from error
        transport: dict[str, Any] = answer["transport"]
        return transport


def played(bots: Process, timeout_s: float) -> Played:
    """Wait until the bots are done and return what they report. Raise ServiceError if they fail or hang."""
    report = json.loads(bots.wait_for_line(r"^\{.*\}\s*$", timeout_s)[0])
    bots.wait(timeout_s)
    return Played(**{name: report[name] for name in Played.__dataclass_fields__})
