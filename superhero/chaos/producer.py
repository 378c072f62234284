"""A process that logs numbered records and prints, one by one, which of the logging calls returned.

    python -m superhero.chaos.producer JOB        JOB is a `Job` as JSON

What it printed outlives it: the pipe to whoever started it holds every line, also after kill -9. SIGTERM ends
it with a flush; SIGUSR1 sets its clock back by an hour, for this process only.
"""

from __future__ import annotations

import json
import logging
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from amqp import AMQPError
from kombu.exceptions import KombuError

from superhero.chaos.calls import CHANNELS, GAME_CHANNEL, PLAIN_CHANNELS, Spoken, call_name, message_text
from superhero.chaos.sabotage import MARK

CLOCK_JUMP_S = 3600.0
CLOCK_SAID = "clock set back"
HUGE_BYTES = 10_000_000
HOSTILE_NAMES = ("../x", "/etc/passwd", "a\0b", "..", "日本\u2028語", "-rf", "x" * 300, "a/../../b")
_GAME_EVERY = 10
_FLUSH_TIMEOUT_S = 20.0
_WORDS = (
    "orders",
    "payments",
    "mail",
    "basket",
    "invoice",
    "refund",
    "address",
    "delivery",
    "voucher",
    "stock",
)


@dataclass(frozen=True, slots=True)
class Job:
    """What a producer is to do.

    process     its number: the first part of the numbers of its calls
    broker_url  where to send to
    spool_dir   folder of the transport's spool, or None for none
    memory_records  how many records the transport may keep in memory, where it cannot spool
    plain_file  file for plain Celery's tasks to write to; None for the logging transport
    rate        records per second
    limit       records until it ends by itself, or None
    kind        which records: steady, poison, hostile or huge
    seed        what the texts come from
    """

    process: int
    broker_url: str
    spool_dir: str | None
    memory_records: int
    plain_file: str | None
    rate: float
    limit: int | None = None
    kind: str = "steady"
    seed: int = 7

    def as_json(self) -> str:
        """Return the command line argument."""
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class Record:
    """One record to log: `extra` is what goes with the text."""

    channel: str
    message: str
    extra: dict[str, Any]


Log = Callable[[Record], None]


def main() -> None:
    """Do the job of the command line."""
    job = Job(**json.loads(sys.argv[1]))
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    signal.signal(signal.SIGUSR1, lambda *_: _set_clock_back())
    log, close = _plain(job) if job.plain_file else _transport(job)
    _run(job, log, over)
    print(f"end {json.dumps(close())}", flush=True)


def _run(job: Job, log: Log, over: threading.Event) -> None:
    began = time.monotonic()
    for number, record in enumerate(_records(job)):
        # An absolute schedule, so that the rate holds; late, it catches up.
        if over.wait(max(began + number / job.rate - time.monotonic(), 0)):
            return
        call = call_name(record.channel, job.process, number)
        try:
            log(record)
        except (OSError, KombuError, AMQPError) as error:  # plain Celery's: the application is told
            _print(f"{Spoken(call, returned=False).line()}\n{call} raised {type(error).__name__}")
        else:
            _print(Spoken(call, returned=True).line())


def _print(text: str) -> None:
    # One system call: a line is there as a whole or not at all, and before the next record is logged.
    os.write(1, text.encode() + b"\n")


def _records(job: Job) -> Iterator[Record]:
    """Yield the job's records; the same for the same job."""
    rng = random.Random(f"{job.seed} {job.process}")
    make = {"steady": _steady, "poison": _poison, "hostile": _hostile, "huge": _huge}[job.kind]
    number = 0
    while job.limit is None or number < job.limit:
        yield make(job, number, rng)
        number += 1


def _steady(job: Job, number: int, rng: random.Random) -> Record:
    if number % _GAME_EVERY == _GAME_EVERY - 1:
        return _game(job, number, f"chaos-{job.process}-{number}")
    channel = PLAIN_CHANNELS[number % len(PLAIN_CHANNELS)]
    payload = {"number": number, "amount": rng.randrange(100_000), "words": rng.choices(_WORDS, k=10)}
    return Record(channel, message_text(job.process, number, rng.choice(_WORDS)), {"payload": payload})


def _poison(job: Job, number: int, rng: random.Random) -> Record:
    return Record(PLAIN_CHANNELS[0], message_text(job.process, number, MARK), {})


def _hostile(job: Job, number: int, rng: random.Random) -> Record:
    return _game(job, number, HOSTILE_NAMES[number % len(HOSTILE_NAMES)])


def _huge(job: Job, number: int, rng: random.Random) -> Record:
    return Record(PLAIN_CHANNELS[0], message_text(job.process, number, "x" * HUGE_BYTES), {})


def _game(job: Job, number: int, game_token: str) -> Record:
    """Return a completed game: its ingestion writes objects and lets go of keys in Redis."""
    names = ("winner", "loser")
    podium = [
        {
            "user": f"{name}-{job.process}",
            "hero_id": rank,
            "rank": rank,
            "rounds": 1,
            "damage_delivered": 2 - rank,
            "damage_received": rank - 1,
        }
        for rank, name in enumerate(names, start=1)
    ]
    payload = {"game_token": game_token, "attacks": 1, "reason": "last one standing", "podium": podium}
    message = message_text(job.process, number, "game completed")
    return Record(GAME_CHANNEL, message, {"event": "game.completed", "payload": payload})


def _transport(job: Job) -> tuple[Log, Callable[[], dict[str, Any]]]:
    """Return what logs through our transport, and what ends it and tells its counters."""
    from superhero.transport import CeleryHandler

    handler = CeleryHandler(
        broker_url=job.broker_url, spool_dir=job.spool_dir, max_records=job.memory_records
    )
    for channel in CHANNELS:
        logger = logging.getLogger(channel)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False

    def log(record: Record) -> None:
        logging.getLogger(record.channel).info(record.message, extra=record.extra)

    def close() -> dict[str, Any]:
        handler.flush(_FLUSH_TIMEOUT_S)
        handler.close()
        return asdict(handler.counters())

    return log, close


def _plain(job: Job) -> tuple[Log, Callable[[], dict[str, Any]]]:
    """Return what sends a task of plain Celery per record."""
    from superhero.chaos.vanilla import app, append

    app.conf.broker_url = job.broker_url

    def log(record: Record) -> None:
        row = {"channel": record.channel, "message": record.message, **record.extra}
        append.delay(job.plain_file, json.dumps(row))

    return log, dict


def _set_clock_back() -> None:
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() - CLOCK_JUMP_S
    time.time_ns = lambda: now_ns() - int(CLOCK_JUMP_S * 1e9)
    _print(CLOCK_SAID)


if __name__ == "__main__":
    main()
