"""One logging call, in the thread that makes it, whatever the broker does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import Figures, Plot, Spread, Table, Target
from benchmarks.stage import Stage
from benchmarks.suites.to_disk import program
from superhero.ops.embedded import free_port
from superhero.ops.rabbitmq import PrivateRabbit, find_server

REPETITIONS = 7
_NOWHERE = "amqp://guest:guest@127.0.0.1"

OURS_UP, OURS_DOWN, OURS_BLOCKED = (
    f"superhero, spool, broker {state}" for state in ("up", "down", "blocked")
)
_QUEUE_HANDLER = "QueueHandler, Queue as in its documentation"


@dataclass(slots=True)
class Call:
    """One way to log, and how long it took in each repetition, in microseconds.

    publishes  whether the call itself publishes; the broker is busy with that for some time after it
    """

    name: str
    argv: Callable[[], list[str]]
    publishes: bool = False
    median: Spread = field(default_factory=Spread)
    p99: Spread = field(default_factory=Spread)
    p999: Spread = field(default_factory=Spread)


def run(stage: Stage) -> Figures:
    """Measure in turns; each run is a process of its own. Last come those that leave the broker at work.

    Two processes of one program differ by some hundredths, by where things lie in their memory. So how ours
    stands beside QueueHandler is measured once more within one process.
    """
    beside = Spread()
    for _ in range(stage.amount(REPETITIONS, 1)):
        beside.values.append(_beside_queue(stage))
    with _blocked_broker(stage) as blocked_url:
        calls = _calls(stage, blocked_url)
        for publish in (False, True):
            for _ in range(stage.amount(REPETITIONS, 1)):
                for call in (each for each in calls if each.publishes == publish):
                    (said,) = stage.run("calls", call.argv(), 120.0)["calls"]
                    call.median.values.append(said["median_us"])
                    call.p99.values.append(said["p99_us"])
                    call.p999.values.append(said["p999_us"])
    return _figures(calls, beside)


def _beside_queue(stage: Stage) -> float:
    """Return the median of our calls over that of QueueHandler's, bursts in turns in one process."""
    shape = ("--broker-url", stage.services.broker_url, "--count", str(stage.amount(20_000, 1_000)))
    ours, queue = stage.run("calls", program("time_calls", "ours", "queue", *shape), 120.0)["calls"]
    return float(ours["median_us"] / queue["median_us"])


def _calls(stage: Stage, blocked_url: str | None) -> list[Call]:
    up, down = stage.services.broker_url, f"{_NOWHERE}:{free_port()}//"
    fast, slow = stage.amount(20_000, 1_000), stage.amount(2_000, 100)

    def ours(handler: str, url: str, count: int) -> Callable[[], list[str]]:
        return lambda: program("time_calls", handler, "--broker-url", url, "--count", str(count))

    calls = [
        Call("logging.NullHandler", ours("null", up, fast)),
        Call(OURS_UP, ours("ours", up, fast)),
        Call(OURS_DOWN, ours("ours", down, fast)),
        Call("superhero, in memory, broker up", ours("ours-in-memory", up, fast)),
        Call(_QUEUE_HANDLER, ours("queue", up, fast)),
        Call("QueueHandler, SimpleQueue", ours("simple-queue", up, fast)),
        Call("Celery apply_async", ours("celery", up, slow), publishes=True),
        Call("Celery apply_async with confirms", ours("celery-confirms", up, slow), publishes=True),
    ]
    if blocked_url is not None:
        calls.insert(3, Call(OURS_BLOCKED, ours("ours", blocked_url, fast)))
    python = stage.peers_python()
    if python is not None:
        module = [str(python), "-m", "benchmarks.peers.time_rabbitmq_handler"]
        for title, way in (("", "direct"), (", one-way", "one-way")):
            argv = [*module, way, up, str(slow)]
            name = f"python-logging-rabbitmq{title}"
            calls.append(Call(name, lambda argv=argv: argv, publishes=True))  # type: ignore[misc]
    return calls


@contextmanager
def _blocked_broker(stage: Stage) -> Iterator[str | None]:
    """Yield the URL of a broker of our own that has a memory alarm; None where there can be none."""
    if stage.small or find_server() is None:
        yield None
        return
    with PrivateRabbit(Path(stage.fresh_folder("blocked"))) as node:
        node.control("set_vm_memory_high_watermark", "absolute", "1MB")
        yield node.url()


def _figures(calls: list[Call], beside: Spread) -> Figures:
    by_name = {call.name: call for call in calls}
    states = [by_name[name] for name in (OURS_UP, OURS_DOWN, OURS_BLOCKED) if name in by_name]
    median = max(call.median.middle for call in states)
    p99 = max(call.p99.middle for call in states)
    ours = by_name[OURS_UP].median.middle
    return Figures(
        tables=[
            Table(
                "log-call",
                "One logging call in the emitting thread, µs",
                ("", "median", "99th percentile", "99.9th", "least median", "of ours"),
                [
                    [
                        call.name,
                        call.median.middle,
                        call.p99.middle,
                        call.p999.middle,
                        call.median.least,
                        f"{call.median.middle / ours:.2f}×",
                    ]
                    for call in calls
                ],
                notes=[
                    "Bursts of 200 calls, 25 ms between them; repetitions in turns, the middle one shown.",
                    f"Within one process, bursts in turns, the median call of ours takes {beside.middle:.2f} "
                    f"of QueueHandler's time ({beside.least:.2f} to {beside.most:.2f}).",
                ],
            )
        ],
        plots=[
            Plot(
                "log-call",
                "One logging call in the emitting thread",
                "bars",
                "median, µs",
                {call.name: call.median.middle for call in calls},
                log=True,
            )
        ],
        targets=[
            Target("log call, median, worst state", "10 µs", f"{median:.1f} µs", median < 10),
            Target("log call, 99th percentile, worst state", "50 µs", f"{p99:.1f} µs", p99 < 50),
            Target(
                "log call beside QueueHandler, in one process, median",
                "faster",
                f"{beside.middle:.2f} of its time",
                beside.middle < 1,
            ),
        ],
    )
