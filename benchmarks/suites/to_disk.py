"""From the logging call to fsynced JSON Lines: ours, plain Celery, and a bare script with the raw client."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Figures, Plot, Spread, Table, Target
from benchmarks.stage import READY_S, Lines, Stage
from superhero.ops.processes import Process
from superhero.ops.usage import cpu_s, family
from superhero.ops.verify import verify

REPETITIONS = 5
_TIMEOUT_S = 600.0
CHANNEL = "bench.orders"

OURS = "superhero"
GUARANTEE_OF_OURS = "effectively once; survives kill -9 of any part"
_AT_LEAST_ONCE = "at least once, doubles possible"


@dataclass(slots=True)
class Contestant:
    """One way to bring records to disk; its workers are up already."""

    name: str
    guarantee: str
    count: int
    output: Path
    argv: Callable[[int], list[str]]
    workers: list[Process]
    env: dict[str, str] = field(default_factory=dict)
    rates: Spread = field(default_factory=Spread)
    log_rates: Spread = field(default_factory=Spread)
    producer_us: Spread = field(default_factory=Spread)
    workers_us: Spread = field(default_factory=Spread)

    def forget(self) -> None:
        """Forget what was measured so far: it was for warming up."""
        for spread in (self.rates, self.log_rates, self.producer_us, self.workers_us):
            spread.values.clear()


def run(stage: Stage) -> Figures:
    """Measure in turns, so that whatever else the machine does falls on all alike."""
    contestants = [
        ours(stage, stage.amount(150_000, 5_000)),
        bare(stage, stage.amount(150_000, 5_000), consumers=1),
        bare(stage, stage.amount(150_000, 5_000), consumers=2),
        plain_celery(stage, stage.amount(2_000, 100)),
    ]
    for _ in range(stage.amount(REPETITIONS, 1)):
        for contestant in contestants:
            measure(stage, contestant)
    check_ours(contestants[0])
    return _figures(contestants)


def measure(stage: Stage, contestant: Contestant, count: int | None = None) -> None:
    """Log records, as many as the contestant's count says, and wait until all of them are on disk."""
    count = count or contestant.count
    lines = Lines(contestant.output)
    before = lines.look()
    pids = [pid for worker in contestant.workers for pid in family(worker.pid)]
    cpu_before_s = cpu_s(pids)
    said = stage.run("producer", contestant.argv(count), _TIMEOUT_S, **contestant.env)
    # One more than counted: the first one is logged before the clock runs.
    there = lines.wait_for(before + count + 1, _TIMEOUT_S)
    contestant.rates.values.append(count / (there - said["began"]))
    contestant.log_rates.values.append(count / (said["ended"] - said["began"]))
    contestant.producer_us.values.append(1e6 * said["cpu_s"] / count)
    contestant.workers_us.values.append(1e6 * (cpu_s(pids) - cpu_before_s) / count)


def check_ours(contestant: Contestant) -> None:
    """Raise ValueError unless what was measured is what was promised: everything there, nothing twice."""
    total = verify(contestant.output).total()
    if total.lost or total.duplicated or total.unexpected:
        raise ValueError(f"the records under {contestant.output} are not whole: {total}")


def ours(stage: Stage, count: int, concurrency: int = 2) -> Contestant:
    """Our transport with spool and our worker, all settings at their defaults."""
    output, spool = stage.fresh_folder("ours"), stage.fresh_folder("spool")
    worker = stage.worker(output, CHANNEL, concurrency)
    return Contestant(
        OURS, GUARANTEE_OF_OURS, count, output, lambda n: producer_argv(stage, spool, n), [worker]
    )


def producer_argv(stage: Stage, spool_dir: Path, count: int, *more: str, channel: str = CHANNEL) -> list[str]:
    """Return the command line of a program that logs through our transport."""
    shape = ("--channel", channel, "--count", str(count), "--spool-dir", str(spool_dir))
    return program("log_orders", "--broker-url", stage.services.broker_url, *shape, *more)


def bare(stage: Stage, count: int, consumers: int) -> Contestant:
    """Our yardstick."""
    name, output = f"bare-{consumers}", stage.fresh_folder("bare")
    shape = ("--broker-url", stage.services.broker_url, "--queue", name)
    argv = program("bare", "consume", *shape, "--output", str(output))
    workers = []
    for number in range(consumers):
        workers.append(stage.start(f"{name}-{number}", argv))
        # One after the other: RabbitMQ 3.10 may close connections that meet at a new queue.
        _ready(workers[-1], "ready")
    title = f"bare script, {consumers} consumer{'s' if consumers > 1 else ''}"
    return Contestant(
        title,
        _AT_LEAST_ONCE,
        count,
        output,
        lambda n: program("bare", "produce", *shape, "--count", str(n)),
        workers,
    )


def plain_celery(stage: Stage, count: int) -> Contestant:
    """Celery by its own means, with the settings that lose the least."""
    output = stage.fresh_folder("plain")
    env = {"BENCH_OUTPUT": str(output), "BENCH_QUEUE": "plain"}
    app = [sys.executable, "-m", "celery", "-A", "benchmarks.programs.plain_celery", "worker"]
    worker = stage.start("plain", [*app, "--concurrency", "2", "--loglevel", "INFO"], env)
    _ready(worker, r" ready\.")
    return Contestant(
        "Celery, a task per record",
        _AT_LEAST_ONCE,
        count,
        output,
        lambda n: program("plain_celery", "--count", str(n)),
        [worker],
        env,
    )


def program(name: str, *arguments: str) -> list[str]:
    """Return the command line of one of our programs."""
    return [sys.executable, "-m", f"benchmarks.programs.{name}", *arguments]


def _ready(process: Process, pattern: str) -> None:
    process.wait_for_line(pattern, READY_S)


def _figures(contestants: list[Contestant]) -> Figures:
    first, celery = contestants[0], contestants[-1]
    best_bare = max(contestants[1:-1], key=lambda each: each.rates.middle)
    ours_rate = first.rates.middle
    of_bare, of_celery = ours_rate / best_bare.rates.middle, ours_rate / celery.rates.middle
    return Figures(
        tables=[
            Table(
                "to-disk",
                "Log call to fsynced JSON Lines, records of 350 bytes",
                ("", "records/s", "least", "most", "ours is", "producer µs", "workers µs", "guarantee"),
                [
                    [
                        each.name,
                        each.rates.middle,
                        each.rates.least,
                        each.rates.most,
                        f"{ours_rate / each.rates.middle:.2f}×",
                        each.producer_us.middle,
                        each.workers_us.middle,
                        each.guarantee,
                    ]
                    for each in contestants
                ],
                notes=["µs: processor time per record, all threads and processes of that side together."],
            )
        ],
        plots=[
            Plot(
                "to-disk",
                "Log call to fsynced JSON Lines",
                "bars",
                "records per second",
                {each.name: each.rates.middle for each in contestants},
                log=True,
            )
        ],
        targets=[
            Target("to disk", "60,000 records/s", f"{ours_rate:,.0f} records/s", ours_rate >= 60_000),
            Target("to disk, of a bare script", "0.5×", f"{of_bare:.2f}×", of_bare >= 0.5),
            Target("to disk, of a task per record", "100×", f"{of_celery:,.0f}×", of_celery >= 100),
        ],
    )
