"""A backlog of a million records, then drained: whether memory stays flat, and speed the same."""

from __future__ import annotations

import time
from itertools import pairwise

from benchmarks.figures import Figures, Plot, Table, Target
from benchmarks.stage import READY_S, Lines, Stage
from benchmarks.suites.to_disk import CHANNEL, producer_argv
from superhero.errors import ServiceError
from superhero.ops.usage import Sampler, cpu_s, family, memory_bytes

_MB = 1_000_000
_TENTHS = 10
_SAMPLE_S = 0.1
_TIMEOUT_S = 900.0
_FLAT_MB = 30
_IDLE_CHANNEL = "bench.idle"
_IDLE_RECORDS = 10_000


def run(stage: Stage) -> Figures:
    """Log everything while no worker lives, then start one, and watch both."""
    count = stage.amount(1_000_000, 5_000)
    producer_idle, producer = _fill(stage, count)
    worker_idle, drained, marks = _drain(stage, count)
    return _figures(count, (producer_idle, producer), (worker_idle, drained), marks)


def _fill(stage: Stage, count: int) -> tuple[float, list[tuple[float, float]]]:
    """Return the producer's memory before, and over time, in MB."""
    process = stage.start("producer", producer_argv(stage, stage.fresh_folder("spool"), count))
    process.wait_for_line("warm", READY_S)
    idle = memory_bytes(process.pid) / _MB
    with Sampler(lambda: memory_bytes(process.pid) / _MB, _SAMPLE_S) as sampler:
        if process.wait(_TIMEOUT_S) is None:
            raise ServiceError(f"the backlog was not logged within {_TIMEOUT_S:g} s:\n{process.tail()}")
    return idle, [sample for sample in sampler.samples if sample[1]]


def _drain(stage: Stage, count: int) -> tuple[float, list[tuple[float, float]], list[tuple[float, float]]]:
    """Return the worker's memory when idle, and over time, in MB.

    And before the first tenth and after each: what the clock said, and the worker's processor time, seconds.
    """
    output = stage.fresh_folder("backlog")
    # Idle is a worker that has worked and has nothing to do: on another channel, for the backlog waits. The
    # records wait for it, too, or one child would do everything and the other still be as it was forked.
    elsewhere = stage.fresh_folder("idle")
    argv = producer_argv(stage, stage.fresh_folder("spool"), _IDLE_RECORDS, channel=_IDLE_CHANNEL)
    stage.run("producer", argv)
    worker = stage.worker(elsewhere, _IDLE_CHANNEL)
    Lines(elsewhere).wait_for(_IDLE_RECORDS, _TIMEOUT_S)
    idle = sum(map(memory_bytes, family(worker.pid))) / _MB
    worker.stop()
    lines, began = Lines(output), time.monotonic()
    worker = stage.worker(output, CHANNEL)
    pids = family(worker.pid)
    marks = [(began, 0.0)]
    with Sampler(lambda: sum(map(memory_bytes, pids)) / _MB, _SAMPLE_S) as sampler:
        for tenth in range(1, _TENTHS + 1):
            marks.append((lines.wait_for(tenth * count // _TENTHS, _TIMEOUT_S), cpu_s(pids)))
    return idle, sampler.samples, marks


def _figures(
    count: int,
    producer: tuple[float, list[tuple[float, float]]],
    worker: tuple[float, list[tuple[float, float]]],
    marks: list[tuple[float, float]],
) -> Figures:
    sides = {"producer": producer, "worker, all its processes": worker}
    grown = {
        name: max([used for _, used in samples], default=idle) - idle
        for name, (idle, samples) in sides.items()
    }
    each = count / _TENTHS
    rates = [each / (after[0] - before[0]) for before, after in pairwise(marks)]
    cpu_us = [1e6 * (after[1] - before[1]) / each for before, after in pairwise(marks)]
    # The first tenth holds the worker's start.
    steady = rates[-1] / rates[1]
    return Figures(
        tables=[
            Table(
                "backlog-memory",
                f"Memory through a backlog of {count:,} records, MB",
                ("", "idle", "peak", "grown"),
                [[name, idle, idle + grown[name], grown[name]] for name, (idle, _) in sides.items()],
            ),
            Table(
                "backlog-rate",
                "Draining it, tenth by tenth",
                ["", *(str(number) for number in range(1, _TENTHS + 1))],
                [["records/s", *rates], ["worker µs", *cpu_us]],
                notes=[
                    "The first tenth begins with the start of the worker.",
                    "µs: processor time per record; what does not depend on who else is at work.",
                ],
            ),
        ],
        plots=[
            Plot(
                "backlog",
                f"Memory through a backlog of {count:,} records",
                "lines",
                "MB",
                {name: samples for name, (_, samples) in sides.items()},
                x_axis="seconds",
            )
        ],
        targets=[
            *(
                Target(
                    f"memory of the {name}",
                    f"within {_FLAT_MB} MB of idle",
                    f"{more:.0f} MB",
                    more <= _FLAT_MB,
                )
                for name, more in grown.items()
            ),
            Target("last tenth beside the second", "within 10 %", f"{steady:.2f}×", steady >= 0.9),
        ],
    )
