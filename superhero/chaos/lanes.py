"""One way of ingesting records, as real processes: ours, and beside it plain Celery.

A lane has a producer, workers, a sink and a broker's vhost of its own, and a link to break between any two of
them. What it was promised and what came of it is in its account.

    <folder>/journals   what the producers printed: which logging calls returned
    <folder>/logs       what the workers printed
    <folder>/data       what the workers wrote: a link to the folder disk beside it
    <folder>/spool      the transport's spool
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from superhero.chaos.account import Account
from superhero.chaos.calls import PLAIN_CHANNELS
from superhero.chaos.database import Database
from superhero.chaos.fleet import Fleet
from superhero.chaos.producer import Job
from superhero.chaos.proxy import Link, by_way_of
from superhero.errors import ServiceError
from superhero.ops.processes import Process, Processes, celery_argv, project_root

_READY_TIMEOUT_S = 60.0
_ONE_SHOT_TIMEOUT_S = 60.0
_MEMORY_S = 10.0


@dataclass(frozen=True, slots=True)
class Load:
    """How much a lane is given: records per second, worker processes, children of each, and a seed."""

    rate: float
    workers: int
    concurrency: int
    seed: int


class Lane:
    """Producer, workers and sink of one vhost. A context manager; used from one thread.

    `links` are by name: producer-broker, worker-broker, and worker-redis where the lane uses Redis.
    """

    title = ""
    queues: tuple[str, ...] = ()

    def __init__(self, folder: Path, load: Load, broker_url: str, links: dict[str, Link]) -> None:
        self.folder = folder.resolve()
        self.load = load
        self.links = links
        self.broker_url = broker_url
        self.account = Account(lambda: sorted(self._journal_dir.glob("*.log")), self.row_files)
        self._journal_dir = self.folder / "journals"
        self._processes = Processes()
        self._producers_started = 0
        self.workers = Fleet(f"{self.title} workers", self._start_worker, load.workers)
        self.producers = Fleet(f"{self.title} producer", lambda slot: self._start_producer(), 1)

    def start_workers(self) -> None:
        """Start the workers; returns at once."""
        (self.folder / "disk").mkdir(parents=True, exist_ok=True)
        self.give_data_dir_back()
        self.workers.open()

    def start_producers(self) -> None:
        """Wait until all workers consume, and start the producer."""
        if not self.workers.wait_for(lambda members: self.workers.full(), _READY_TIMEOUT_S):
            raise ServiceError(f"{self.title}: the workers did not start within {_READY_TIMEOUT_S:g} s")
        for worker in self.workers.members():
            worker.wait_for_line(r" ready\.", _READY_TIMEOUT_S)
        self.producers.open()

    def stop_producers(self) -> None:
        """Let the producer send what it has, and end it."""
        self.producers.stop(timeout_s=40.0)

    def stop(self) -> None:
        """End everything."""
        self.producers.stop()
        self.workers.stop()
        self._processes.stop()

    def log_once(self, kind: str, count: int) -> Process:
        """Log `count` records of a kind from a process of their own, and wait until it has ended."""
        process = self._start_producer(kind, count)
        process.wait(_ONE_SHOT_TIMEOUT_S)
        return process

    def calls_of(self, process: Process) -> set[str]:
        """Return the calls that a producer process made and that returned."""
        self.account.look()
        return self.account.calls_of(process.name.rpartition("-")[2])

    @property
    def data_dir(self) -> Path:
        """Where the workers write."""
        return self.folder / "data"

    @property
    def spool_dir(self) -> Path:
        """Where the transport keeps what the broker has not confirmed."""
        return self.folder / "spool"

    def row_files(self) -> Iterable[Path]:
        """Return the files that hold a row per record."""
        raise NotImplementedError

    def worker_argv(self, name: str) -> list[str]:
        """Return the command line of a worker."""
        raise NotImplementedError

    def worker_env(self) -> dict[str, str]:
        """Return what a worker finds in its environment beside ours."""
        return {}

    def job(self, process: int, kind: str, limit: int | None) -> Job:
        """Return what a producer process is to do."""
        raise NotImplementedError

    @property
    def vhost(self) -> str:
        """The broker's vhost that is this lane's own."""
        return urlsplit(self.broker_url).path.removeprefix("/")

    def take_data_dir_away(self) -> None:
        """Put a file where the workers know a folder, in one step."""
        (self.folder / "no-folder").touch()
        self._point_data_dir_to("no-folder")

    def give_data_dir_back(self) -> None:
        """Put the folder back."""
        self._point_data_dir_to("disk")

    def _point_data_dir_to(self, name: str) -> None:
        beside = self.folder / "data.new"
        beside.symlink_to(name)
        beside.replace(self.data_dir)

    def url_by(self, link: str) -> str:
        """Return the broker's URL by way of one of our links."""
        return by_way_of(self.broker_url, self.links[link])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_worker(self, slot: int) -> Process:
        name = f"worker{slot + 1}"
        log_path = self.folder / "logs" / f"{name}.log"
        return self._processes.start(
            name, self.worker_argv(name), self.worker_env(), log_path, project_root()
        )

    def _start_producer(self, kind: str = "steady", limit: int | None = None) -> Process:
        self._producers_started += 1
        job = self.job(self._producers_started, kind, limit)
        name = f"producer-{job.process}"
        argv = [sys.executable, "-m", "superhero.chaos.producer", job.as_json()]
        return self._processes.start(name, argv, None, self._journal_dir / f"{name}.log", project_root())

    def _worker_options(self, name: str) -> tuple[str, ...]:
        return (
            *("--concurrency", str(self.load.concurrency), "--hostname", f"{name}@%h"),
            *("--loglevel", "INFO", "--include", "superhero.chaos.sabotage"),
        )


class OurLane(Lane):
    """The logging transport, our workers and our sink."""

    title = "superhero"
    queues = PLAIN_CHANNELS

    def __init__(
        self,
        folder: Path,
        load: Load,
        broker_url: str,
        redis_url: str,
        links: dict[str, Link],
        database: Database | None,
    ) -> None:
        super().__init__(folder, load, broker_url, links)
        self.database = database
        self._redis_url = redis_url

    @property
    def memory_records(self) -> int:
        """How many records a producer may keep in memory: what it logs in some seconds."""
        return int(self.load.rate * _MEMORY_S)

    @property
    def records_dir(self) -> Path:
        """Where the dataset RECORDS is."""
        return self.data_dir / "superhero" / "RECORDS"

    def row_files(self) -> Iterable[Path]:
        """Return the files of the dataset RECORDS."""
        return sorted(self.records_dir.glob("*.jsonl"))

    def worker_argv(self, name: str) -> list[str]:
        """Return the command line of a worker of ours."""
        return celery_argv("worker", *self._worker_options(name))

    def worker_env(self) -> dict[str, str]:
        """Return what makes a worker use this lane's broker, Redis and folder."""
        return {
            "BROKER_URL": self.url_by("worker-broker"),
            "REDIS_URL": by_way_of(self._redis_url, self.links["worker-redis"]),
            "OUTPUT_DIR": str(self.data_dir),
            "SINKS": f"json:{self.data_dir} {self.database.sink_url}" if self.database else "",
            "CHANNELS": ",".join(PLAIN_CHANNELS),
        }

    def job(self, process: int, kind: str, limit: int | None) -> Job:
        """Log through our transport, with its spool."""
        url, spool = self.url_by("producer-broker"), str(self.spool_dir)
        load = self.load
        return Job(process, url, spool, self.memory_records, None, load.rate, limit, kind, load.seed)


class PlainLane(Lane):
    """Plain Celery's defaults; see superhero/chaos/vanilla.py."""

    title = "plain Celery"
    queues = ("celery",)

    def row_files(self) -> Iterable[Path]:
        """Return the one file."""
        return [self.data_dir / "rows.jsonl"]

    def worker_argv(self, name: str) -> list[str]:
        """Return the command line of a plain worker."""
        app = ("-A", "superhero.chaos.vanilla", "--broker", self.url_by("worker-broker"))
        return [sys.executable, "-m", "celery", *app, "worker", *self._worker_options(name)]

    def job(self, process: int, kind: str, limit: int | None) -> Job:
        """Send a task per record."""
        url, file = self.url_by("producer-broker"), str(self.data_dir / "rows.jsonl")
        return Job(process, url, None, 0, file, self.load.rate, limit, kind, self.load.seed)
