"""One broker in one trial: real processes, the trial's records, and what came of them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from superhero.brokers.arms import Arm
from superhero.brokers.arrivals import Arrivals
from superhero.chaos.tail import Tail
from superhero.errors import ServiceError
from superhero.ops.processes import Process, Processes, project_root
from superhero.ops.usage import Meter
from superhero.plural import counted

_READY_TIMEOUT_S = 90.0
_LONGEST_S = 600.0
_LOOK_EVERY_S = 0.004
_METER_EVERY_S = 0.1
_POINT_EVERY_S = 0.05
_QUIET_S = 0.5
_READY = re.compile(r"^ready$| ready\.$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Trial:
    """What happens in a trial. `steady` sends at a rate, otherwise everything is sent as fast as it goes.

    A third of the records in, all workers are `killed`; two thirds in, as many are back. Without `before`
    no worker has ever been there until all is sent.
    """

    name: str
    told: str
    several: bool = True
    steady: bool = False
    killed: bool = False
    before: bool = True


TRIALS = (
    Trial("one worker", "one worker, everything sent as fast as it goes", several=False),
    Trial("several workers", "several workers, sent at a steady rate", steady=True),
    Trial("killed, back", "all workers killed (-9) a third in, back two thirds in", steady=True, killed=True),
    Trial("none before", "no worker before everything is sent", before=False),
)


@dataclass(frozen=True, slots=True)
class Load:
    """How much a broker is given: records, how many a second when steady, how many workers, the seed."""

    records: int
    rate: float
    workers: int
    seed: int


@dataclass(frozen=True, slots=True)
class Came:
    """What came of one trial.

    lost         records that were sent and are in no file
    duplicated   rows beyond each record's first
    seconds      from the first record sent to the last new row
    rate         different records in files per second of those
    p50_ms, p99_ms   from sending to the row being seen in its file, of those that arrived; None: none did
    cpu_s        processor time of producer, workers and middleman from the first record on; None where
                 it cannot be told; the broker's own is not in it
    memory_bytes the most they had in use together
    sent, written    (seconds, records so far)
    marks        what was done, and when
    """

    trial: str
    records: int
    lost: int
    duplicated: int
    seconds: float
    rate: float
    p50_ms: float | None
    p99_ms: float | None
    cpu_s: float | None
    memory_bytes: int | None
    sent: list[tuple[float, float]]
    written: list[tuple[float, float]]
    marks: list[tuple[float, str]]


class Bout:
    """Runs one trial of one arm, once. Used from one thread; leaves no process behind."""

    def __init__(self, arm: Arm, trial: Trial, load: Load, log_dir: Path) -> None:
        self._arm, self._trial, self._load, self._log_dir = arm, trial, load, log_dir
        self._processes = Processes()
        self._arrivals = Arrivals(arm.row_files)
        self._meter = Meter()
        self._workers: list[Process] = []
        self._ready_at: float | None = None
        self._sent, self._tail = 0, Tail()
        self._sent_at = 0.0
        self._curves: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
        self._marks: list[tuple[float, str]] = []
        self._began = 0.0

    def run(self) -> Came:
        """Run it and count. Raise ServiceError when a process does not start."""
        with self._processes:
            if self._arm.relays:
                relay = self._start("relay", self._arm.process_argv("relay"))
                relay.wait_for_line("^ready$", _READY_TIMEOUT_S)
            if self._trial.before:
                self._start_workers()
                for worker in self._workers:
                    worker.wait_for_line(_READY.pattern, _READY_TIMEOUT_S)
            producer = self._start_producer()
            self._watch(producer)
            for worker in self._workers:
                worker.kill9()  # all is counted; a warm end would only take longer
        return self._came()

    def _start_producer(self) -> Process:
        rate = self._load.rate if self._trial.steady else 0.0
        shape = (str(self._load.records), str(self._load.seed), str(rate))
        producer = self._start("producer", self._arm.process_argv("publish", *shape))
        producer.wait_for_line("^began$", _READY_TIMEOUT_S)
        self._began = time.monotonic()
        self._meter.begin(self._pids())
        return producer

    def _watch(self, producer: Process) -> None:
        """Look on, kill and start, until nothing more comes."""
        metered_at = drawn_at = 0.0
        while True:
            now = time.monotonic()
            self._look(producer)
            self._act(producer)
            if now - metered_at >= _METER_EVERY_S:
                self._meter.look(self._pids())
                metered_at = now
            if now - drawn_at >= _POINT_EVERY_S:
                self._point()
                drawn_at = now
            if self._is_over(producer):
                self._point()
                return
            if now - self._began > _LONGEST_S:
                raise ServiceError(f"{self._arm.title}, {self._trial.name}: not over after {_LONGEST_S:g} s")
            time.sleep(_LOOK_EVERY_S)  # files of others: they can only be looked at

    def _look(self, producer: Process) -> None:
        self._arrivals.look()
        for line in self._tail.lines(producer.log_path):
            if line.startswith("sent "):
                self._sent = int(line.removeprefix("sent "))
                self._sent_at = time.monotonic()
        if self._ready_at is None and self._workers and all(map(_is_ready, self._workers)):
            self._ready_at = time.monotonic()

    def _act(self, producer: Process) -> None:
        """Kill workers and start them, when it is time."""
        third, done = self._load.records / 3, self._sent >= self._load.records
        if self._trial.killed and not self._marks and self._sent >= third:
            for worker in self._workers:
                worker.kill9()
            self._mark(f"{counted(len(self._workers), 'worker')} killed")
            self._workers, self._ready_at = [], None
        back = len(self._marks) == 1 and self._sent >= 2 * third
        if (self._trial.killed and back) or (not self._trial.before and not self._marks and done):
            self._mark(f"{counted(self._several, 'worker')} {'back' if self._trial.killed else 'come'}")
            self._start_workers()

    def _is_over(self, producer: Process) -> bool:
        if producer.running:
            return False
        if producer.returncode != 0:
            raise ServiceError(f"{producer.name} ended with {producer.returncode}:\n{producer.tail()}")
        if self._ready_at is None or self._sent < self._load.records:
            self._look_for_dead_workers()
            return False
        quiet_s = time.monotonic() - max(self._arrivals.last_at, self._ready_at, self._sent_at)
        if self._arrivals.arrived < self._load.records:
            return quiet_s > self._arm.patience_s
        # What was delivered twice must have its chance to be written twice.
        return quiet_s > (self._arm.settle_s if self._trial.killed else _QUIET_S)

    def _look_for_dead_workers(self) -> None:
        dead = next((worker for worker in self._workers if not worker.running), None)
        if dead is not None:
            raise ServiceError(f"{dead.name} ended with {dead.returncode}:\n{dead.tail()}")

    @property
    def _several(self) -> int:
        return self._arm.place.workers

    def _start_workers(self) -> None:
        for slot in range(self._several):
            name = f"worker{len(self._marks)}-{slot}"
            self._workers.append(self._start(name, self._arm.worker_argv(slot), self._arm.worker_env()))

    def _start(self, name: str, argv: list[str], env: dict[str, str] | None = None) -> Process:
        return self._processes.start(name, argv, env, self._log_dir / f"{name}.log", project_root())

    def _pids(self) -> list[int]:
        return [process.pid for process in self._processes.running()]

    def _mark(self, what: str) -> None:
        self._marks.append((round(time.monotonic() - self._began, 2), what))

    def _point(self) -> None:
        at = round(time.monotonic() - self._began, 3)
        for curve, value in zip(self._curves, (self._sent, self._arrivals.arrived), strict=True):
            curve.append((at, value))

    def _came(self) -> Came:
        self._arrivals.look()
        arrived = self._arrivals.arrived
        seconds = max(self._arrivals.last_new_at - self._began, 1e-3) if arrived else 0.0
        latencies = sorted(self._arrivals.latencies_s)
        end = max([seconds, self._sent_at - self._began, *(moment for moment, _ in self._marks)]) + 0.5
        sent, written = ([point for point in curve if point[0] <= end] for curve in self._curves)
        return Came(
            trial=self._trial.name,
            records=self._load.records,
            lost=self._load.records - arrived,
            duplicated=self._arrivals.duplicated,
            seconds=round(seconds, 3),
            rate=round(arrived / seconds, 1) if seconds else 0.0,
            p50_ms=_percentile_ms(latencies, 50),
            p99_ms=_percentile_ms(latencies, 99),
            cpu_s=self._meter.cpu_s,
            memory_bytes=self._meter.peak_bytes,
            sent=sent,
            written=written,
            marks=self._marks,
        )


def _is_ready(worker: Process) -> bool:
    return bool(_READY.search(worker.log_path.read_text(encoding="utf-8", errors="replace")))


def _percentile_ms(ordered: list[float], percent: float) -> float | None:
    if not ordered:
        return None
    return round(ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)] * 1000, 2)
