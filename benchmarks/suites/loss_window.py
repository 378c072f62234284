"""What a kill -9 of the process that logs costs: calls that returned, and records that never arrive."""

from __future__ import annotations

import json
import random
import time

from kombu import Connection

from benchmarks.figures import Figures, Table
from benchmarks.programs.log_until_killed import NOTE_BYTES
from benchmarks.stage import READY_S, Stage
from benchmarks.suites.to_disk import program
from superhero.ops.waiting import wait_until
from superhero.transport.compression import readable

_RATES = (100, 1_000, 10_000)
_RUN_S = (0.2, 0.8)
_ADOPTED_S = 30.0
_QUIET_S = 1.0
"""How long the broker may take to hand on what a killed process had sent."""


def run(stage: Stage) -> Figures:
    """Kill the process at a moment of chance, again and again, with and without a spool."""
    kills = stage.amount(10, 1)
    chance = random.Random(7)
    rows: list[list[str | int | float | None]] = []
    for spooled in (False, True):
        for rate in _RATES if not stage.small else _RATES[:1]:
            lost = [_lost(stage, rate, spooled, chance.uniform(*_RUN_S)) for _ in range(kills)]
            most_ms = max(lost) / rate * 1000
            rows.append(
                ["spool" if spooled else "memory", rate, kills, sum(lost), max(lost), round(most_ms, 1)]
            )
    return Figures(
        tables=[
            Table(
                "loss-window",
                "kill -9 of the process that logs",
                ("waits in", "records/s", "kills", "lost in all", "most at a time", "that is ms"),
                rows,
                notes=["Lost: the logging call returned, the record never arrived. The broker was up."],
            )
        ]
    )


def _lost(stage: Stage, rate: int, spooled: bool, seconds: float) -> int:
    """Run, kill, start another where there is a spool, and return how many records never came."""
    folder = stage.fresh_folder("killed")
    note, channel = folder / "note", f"bench.{folder.name}"
    note.write_bytes(bytes(NOTE_BYTES))
    options = ["--broker-url", stage.services.broker_url, "--channel", channel, "--note", str(note)]
    if spooled:
        options += ["--spool-dir", str(folder / "spool")]
    process = stage.start("killed", program("log_until_killed", *options, "--rate", str(rate)))
    process.wait_for_line("warm", READY_S)
    time.sleep(seconds)
    process.kill9()
    returned = int.from_bytes(note.read_bytes(), "little")
    heir = stage.start("heir", program("log_until_killed", *options, "--rate", "0")) if spooled else None
    arrived = _arrived(stage.services.broker_url, channel, returned, _ADOPTED_S if spooled else _QUIET_S)
    if heir is not None:
        heir.kill9()
    return returned - len(arrived)


def _arrived(broker_url: str, channel: str, returned: int, patience_s: float) -> set[int]:
    """Return the orders in a channel's queue, and delete it; wait for those that may still come."""
    orders: set[int] = set()
    wanted = set(range(1, returned + 1))
    with Connection(broker_url) as connection, connection.channel() as amqp:

        def all_here() -> bool:
            while message := amqp.basic_get(channel, no_ack=True):
                orders.update(_orders(readable(message.body, message.headers)))
            return wanted <= orders

        wait_until(all_here, patience_s)
        amqp.queue_delete(channel)
    return wanted & orders


def _orders(body: bytes | str) -> set[int]:
    return {envelope["payload"]["order"] for envelope in json.loads(body)[0][1]}
