"""The same work by other libraries, each at its own best settings, and what each of them promises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Cell, Figures, Plot, Table, Target
from benchmarks.stage import READY_S, Stage
from benchmarks.suites.to_disk import Contestant, measure, ours

REPETITIONS = 2
_BATCH = 500
_SECONDS = 4.0
"""About how long one measurement takes: from it follows how many records."""

_AT_LEAST_ONCE = "at least once, doubles"
_NO_CONFIRM = "lost if the broker fails before it kept them; doubles"


@dataclass(frozen=True, slots=True)
class Peer:
    """How to run a library's worker, what its way of doing it promises, and records/s to expect of it.

    `worker` is its command line behind the name of our module; {python} and {bin} are its environment's.
    """

    name: str
    module: str
    worker: str
    guarantee: str
    expected: int
    expected_batched: int
    ready: str = ""
    workers: int = 1
    env: Mapping[str, str] = field(default_factory=dict)


PEERS = (
    Peer(
        "dramatiq",
        "dramatiq_app",
        "{bin}/dramatiq {module} --processes 2 --threads 4 --skip-logging",
        _NO_CONFIRM,
        1_200,
        40_000,
    ),
    Peer(
        "dramatiq, confirms",
        "dramatiq_app",
        "{bin}/dramatiq {module} --processes 2 --threads 4 --skip-logging",
        _AT_LEAST_ONCE,
        500,
        40_000,
        env={"BENCH_CONFIRM": "1"},
    ),
    Peer(
        "taskiq, aio-pika",
        "taskiq_app",
        "{bin}/taskiq worker {module}:broker --workers 2 --ack-type when_executed --log-level WARNING",
        _AT_LEAST_ONCE,
        800,
        20_000,
    ),
    Peer(
        "FastStream",
        "faststream_app",
        "{bin}/faststream run {module}:app --workers 2",
        _AT_LEAST_ONCE,
        1_000,
        40_000,
    ),
    Peer(
        "huey",
        "huey_app",
        "{bin}/huey_consumer {module}.huey --worker-type process --workers 2 --delay 0.01 --max-delay 0.1 -q",
        "at most once; lost with its worker, or with Redis",
        1_500,
        40_000,
    ),
    Peer(
        "rq, SimpleWorker",
        "rq_app",
        "{python} -m {module}",
        "at most once; failed with its worker, lost with Redis",
        150,
        15_000,
        ready="ready",
        workers=2,
    ),
    Peer(
        "arq",
        "arq_app",
        "{bin}/arq {module}.WorkerSettings",
        "at least once, doubles; lost with Redis",
        500,
        20_000,
        workers=2,
    ),
    Peer(
        "aiormq, as published",
        "aiormq_app",
        "{python} -m {module}",
        "lost if the broker restarts; doubles",
        800,
        40_000,
        ready="ready",
        workers=2,
    ),
    Peer(
        "aiormq, persistent, confirms",
        "aiormq_app",
        "{python} -m {module}",
        _AT_LEAST_ONCE,
        500,
        40_000,
        ready="ready",
        workers=2,
        env={"BENCH_CONFIRM": "1"},
    ),
)


def run(stage: Stage) -> Figures:
    """Measure us, then each peer: a task per record, and 500 records per task, put together by hand."""
    python = stage.peers_python()
    if python is None:
        note = "The peers are not installed: `make bench` does that."
        return Figures(tables=[Table("peers", "Peers", ("",), [], notes=[note])])
    us = ours(stage, stage.amount(150_000, 2_000))
    _repeat(stage, us)
    contestants = [each for peer in PEERS for each in _of(stage, peer, python)]
    _repeat(stage, us)
    return _figures(us, contestants)


def _of(stage: Stage, peer: Peer, python: Path) -> list[Contestant]:
    found = []
    for batch, expected in ((1, peer.expected), (_BATCH, peer.expected_batched)):
        count = stage.amount(int(expected * _SECONDS), 20 * batch)
        contestant = _start(stage, peer, python, batch, count)
        _repeat(stage, contestant)
        for worker in contestant.workers:
            worker.stop()
        found.append(contestant)
    return found


def _start(stage: Stage, peer: Peer, python: Path, batch: int, count: int) -> Contestant:
    output = stage.fresh_folder(peer.module)
    module = f"benchmarks.peers.{peer.module}"
    env = {"BENCH_OUTPUT": str(output), **peer.env}
    argv = peer.worker.format(bin=python.parent, python=python, module=module).split()
    workers = [stage.start(peer.module, argv, env) for _ in range(peer.workers)]
    for worker in workers:
        if peer.ready:
            worker.wait_for_line(peer.ready, READY_S)
    # What the application has gathered is nowhere yet but in its memory.
    guarantee = (
        peer.guarantee if batch == 1 else f"{peer.guarantee}; up to {batch - 1} lost with the producer"
    )
    contestant = Contestant(
        peer.name if batch == 1 else f"{peer.name}, by {batch}",
        guarantee,
        count,
        output,
        lambda number: [str(python), "-m", module, str(number), str(batch)],
        workers,
        env,
    )
    # Not all say when they are ready: the first records show it, and are not counted.
    measure(stage, contestant, batch)
    contestant.forget()
    return contestant


def _repeat(stage: Stage, contestant: Contestant) -> None:
    for _ in range(stage.amount(REPETITIONS, 1)):
        measure(stage, contestant)


def _figures(us: Contestant, peers: list[Contestant]) -> Figures:
    single, batched = peers[::2], peers[1::2]
    return Figures(
        tables=[
            _table("peers", "A task per record, as each library has it", us, single),
            _table(
                "peers-batched",
                f"{_BATCH} records per task, gathered by hand in the application",
                us,
                batched,
            ),
        ],
        plots=[
            Plot(
                "peers",
                "Log call to fsynced JSON Lines by peers",
                "bars",
                "records per second",
                {each.name: each.rates.middle for each in (us, *single, *batched)},
                log=True,
            )
        ],
        targets=[
            _target("peers, a task per record", "ahead of each", 1.0, us, single),
            # By hand they are bare scripts, with less promised: so they are held against what those are.
            _target("peers, 500 records by hand", "0.5×, as of a bare script", 0.5, us, batched),
        ],
    )


def _table(name: str, title: str, us: Contestant, peers: list[Contestant]) -> Table:
    rows: list[list[Cell]] = [
        [
            each.name,
            each.rates.middle,
            f"{us.rates.middle / each.rates.middle:,.1f}×",
            each.producer_us.middle,
            each.workers_us.middle,
            each.guarantee,
        ]
        for each in (us, *peers)
    ]
    columns = ("", "records/s", "ours is", "producer µs", "workers µs", "guarantee")
    note = "µs: processor time per record, all threads and processes of that side together."
    return Table(name, title, columns, rows, notes=[note])


def _target(what: str, reach: str, least: float, us: Contestant, peers: list[Contestant]) -> Target:
    nearest = max(peers, key=lambda each: each.rates.middle)
    ahead = us.rates.middle / nearest.rates.middle
    return Target(what, reach, f"{ahead:,.2f}× the nearest: {nearest.name}", ahead > least)
