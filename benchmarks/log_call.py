"""What one logging call costs the thread that makes it, and what a death of the process or the power costs.

    python benchmarks/log_call.py [--calls 30000] [--json] [--broker-url amqp://...]

Everything in one run on one machine: read the ratios, not the microseconds. Calls come back to back, in
rounds that alternate between the contestants, so that whatever else the machine does meets all of them. With
a broker that is up (its vhost or database is used as it is: give one of its own), down (nobody listens) and
blocked (it asked for a pause).
"""

from __future__ import annotations

import argparse
import json
import logging
import logging.handlers
import queue
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from superhero.testing import ScriptedSender
from superhero.transport import CeleryHandler

DOWN = "amqp://127.0.0.1:1//"
ROUNDS = 10
PAYLOAD = {
    "game_token": "0123456789abcdef",
    "turn": 1,
    "user": "0123456789abcdef",
    "enemy": "fedcba9876543210",
    "damage": 125_000,
    "enemy_health_prior": 1_000_000,
    "enemy_health_post": 875_000,
}


@dataclass(frozen=True)
class Row:
    """One contestant's figures; `ratio` is its median over that of QueueHandler as logging documents it."""

    name: str
    median_us: float
    p99_us: float
    p999_us: float
    worst_us: float
    ratio: float = 0.0


def contestants(broker_url: str, folder: Path) -> dict[str, Callable[[], logging.Handler]]:
    """Return what is measured: name -> what makes the handler."""

    def ours(url: str = "", *, spool: bool, blocked: bool = False) -> Callable[[], logging.Handler]:
        return lambda: CeleryHandler(
            broker_url=url,
            spool_dir=folder / "spool" if spool else None,
            max_records=10_000_000,
            max_bytes=1 << 32,
            flush_timeout_s=30.0 if url == broker_url else 0.0,
            sender=(lambda: ScriptedSender("block")) if blocked else None,
        )

    return {
        "NullHandler": logging.NullHandler,
        "QueueHandler": lambda: logging.handlers.QueueHandler(queue.Queue(-1)),
        "QueueHandler, SimpleQueue": lambda: logging.handlers.QueueHandler(queue.SimpleQueue()),
        **({"memory, broker up": ours(broker_url, spool=False)} if broker_url else {}),
        "memory, broker down": ours(DOWN, spool=False),
        "memory, broker blocked": ours(spool=False, blocked=True),
        **({"spool, broker up": ours(broker_url, spool=True)} if broker_url else {}),
        "spool, broker down": ours(DOWN, spool=True),
        "spool, broker blocked": ours(spool=True, blocked=True),
    }


def measure(handlers: dict[str, logging.Handler], calls: int) -> list[Row]:
    """Log `calls` records to each handler and return what each call took."""
    times: dict[str, list[int]] = {name: [] for name in handlers}
    for name, handler in handlers.items():
        _log(handler, calls // 100, [])  # threads start, connections are made
        if isinstance(handler, CeleryHandler) and "up" in name:
            handler.flush()
    for _ in range(ROUNDS):
        for name, handler in handlers.items():
            _log(handler, calls // ROUNDS, times[name])
    rows = [_row(name, taken) for name, taken in times.items()]
    base = next(row.median_us for row in rows if row.name == "QueueHandler")
    return [Row(**{**asdict(row), "ratio": round(row.median_us / base, 2)}) for row in rows]


def _log(handler: logging.Handler, calls: int, times: list[int]) -> None:
    logger = logging.getLogger("benchmark.calls")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.handlers = [handler]
    clock, extra = time.perf_counter_ns, {"event": "game.attack", "payload": PAYLOAD}
    for number in range(calls):
        begin = clock()
        logger.info("attack %d", number, extra=extra)
        times.append(clock() - begin)


def _row(name: str, times: list[int]) -> Row:
    times = sorted(times)

    def at(share: float) -> float:
        return round(times[min(int(len(times) * share), len(times) - 1)] / 1000, 2)

    return Row(name, at(0.5), at(0.99), at(0.999), at(1.0))


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--calls", type=int, default=30_000, help="calls per contestant")
    arguments.add_argument("--broker-url", default="", help="a broker that is up, to be used as it is")
    arguments.add_argument("--json", action="store_true")
    given = arguments.parse_args()
    logging.getLogger("superhero.transport").addHandler(logging.NullHandler())
    logging.getLogger("superhero.transport").propagate = False
    with tempfile.TemporaryDirectory() as folder:
        made = contestants(given.broker_url, Path(folder))
        handlers = {name: make() for name, make in made.items()}
        rows = measure(handlers, given.calls)
        for handler in handlers.values():
            handler.close()
    if given.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print(f"{'':26}{'median µs':>11}{'p99':>9}{'p99.9':>9}{'worst':>10}{'× queue':>9}")
    for row in rows:
        print(
            f"{row.name:26}{row.median_us:11.2f}{row.p99_us:9.2f}{row.p999_us:9.2f}"
            f"{row.worst_us:10.0f}{row.ratio:9.2f}"
        )


if __name__ == "__main__":
    main()
