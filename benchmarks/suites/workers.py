"""One, two and four workers on one channel: how much faster, and nothing lost beyond the cores."""

from __future__ import annotations

import os
from statistics import median

from benchmarks.figures import Figures, Plot, Spread, Table, Target
from benchmarks.stage import READY_S, Lines, Stage, said_by
from benchmarks.suites.to_disk import CHANNEL, program
from superhero.ops.usage import cpu_of_machine_s
from superhero.ops.verify import verify

REPETITIONS = 9
_TIMEOUT_S = 300.0


def run(stage: Stage) -> Figures:
    """Give each number of workers, one child each, the same records; a second time what others do differs.

    Beside them, in turns: processes that only decode and encode, one and two, for what two cores are worth
    together.
    """
    count, numbers = stage.amount(400_000, 4_000), stage.amount_list([1, 2, 4], [1, 2])
    rates = {workers: Spread() for workers in numbers}
    busy = {workers: Spread() for workers in numbers}
    kept = dict.fromkeys(numbers, True)
    computing = {processes: Spread() for processes in (1, 2)}
    for repetition in range(stage.amount(REPETITIONS, 1)):
        for workers in numbers:
            rate, cores, whole = _drain(stage, workers, count, f"bench-{workers}-{repetition}")
            rates[workers].values.append(rate)
            busy[workers].values.append(cores)
            kept[workers] = kept[workers] and whole
        for processes, each in computing.items():
            each.values.append(_compute(stage, processes))
    return _figures(rates, busy, kept, computing)


def _compute(stage: Stage, processes: int) -> float:
    shape = ("--processes", str(processes), "--count", str(stage.amount(500, 5)))
    return float(stage.run("compute", program("compute", *shape))["per_second"])


def _drain(stage: Stage, workers: int, count: int, producer: str) -> tuple[float, float, bool]:
    """Return records/s, how many cores workers and broker kept busy, whether each record is there once."""
    output = stage.fresh_folder(producer)
    running = [stage.worker(output, CHANNEL, concurrency=1) for _ in range(workers)]
    shape = ("--channel", CHANNEL, "--producer", producer, "--count", str(count))
    argv = program("preload", "--broker-url", stage.services.broker_url, *shape)
    preload = stage.start("preload", argv)
    preload.wait_for_line("warm", READY_S)
    busy_before_s = cpu_of_machine_s()
    there = Lines(output).wait_for(count, _TIMEOUT_S)
    began = float(said_by(preload)["began"])
    cores = (cpu_of_machine_s() - busy_before_s) / (there - began)
    for worker in running:
        worker.stop()
    total = verify(output).total()
    whole = total.written == count and not (total.lost or total.duplicated or total.unexpected)
    return count / (there - began), cores, whole


def _figures(
    rates: dict[int, Spread], busy: dict[int, Spread], kept: dict[int, bool], computing: dict[int, Spread]
) -> Figures:
    alone = rates[1].middle
    per_core = {number: each.middle / busy[number].middle for number, each in rates.items()}
    # Of each repetition by itself: what else the machine does changes from one to the next.
    second_core = [both / one / 2 for one, both in zip(computing[1].values, computing[2].values, strict=True)]
    second_worker = [
        (both / cores_of_both) / (one / cores_of_one)
        for one, cores_of_one, both, cores_of_both in zip(
            rates[1].values, busy[1].values, rates[2].values, busy[2].values, strict=True
        )
    ]
    linear = median(worker / core for worker, core in zip(second_worker, second_core, strict=True))
    most = max(rates)
    cores = os.cpu_count() or 1
    beyond = [more / two for two, more in zip(rates[2].values, rates[most].values, strict=True)]
    return Figures(
        tables=[
            Table(
                "workers",
                "Workers with one child each, records/s from queue to disk",
                (
                    "workers",
                    "records/s",
                    "least",
                    "most",
                    "of one",
                    "cores busy",
                    "per core",
                    "all there, once",
                ),
                [
                    [
                        number,
                        each.middle,
                        each.least,
                        each.most,
                        f"{each.middle / alone:.2f}×",
                        busy[number].middle,
                        per_core[number],
                        _yes(kept[number]),
                    ]
                    for number, each in rates.items()
                ],
                notes=[
                    f"Cores busy: of {cores}, by workers, broker and whatever else runs.",
                    f"Per core busy, two workers do {median(second_worker):.2f}× what one does; two "
                    f"processes that only decode and encode, {median(second_core):.2f}×. These are the "
                    "middle of the repetitions, and so is their ratio among the targets.",
                ],
            )
        ],
        plots=[
            Plot(
                "workers",
                "Workers with one child each",
                "lines",
                "records per second",
                {"superhero": [(float(number), each.middle) for number, each in rates.items()]},
                x_axis="workers",
            )
        ],
        targets=[
            Target(
                "two workers beside one, per core busy, of what two cores are worth",
                "near 1×",
                f"{linear:.2f}×",
                linear >= 0.9,
            ),
            Target(
                f"{most} workers on {cores} cores, of the records/s of two",
                "no loss: 0.9× at least",
                f"{median(beyond):.2f}×",
                median(beyond) >= 0.9,
            ),
            Target(
                "records lost with more workers than cores",
                "none",
                "none" if kept[most] else "some",
                kept[most],
            ),
        ],
    )


def _yes(true: bool) -> str:
    return "yes" if true else "no"
