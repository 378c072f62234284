"""A process of a trial: `python -m superhero.brokers.process ROLE PLACE ...`, PLACE being a file.

publish PLACE COUNT SEED RATE     0 for RATE: as fast as it goes; says "began", "sent N" now and then
consume PLACE SLOT                says "ready"
relay PLACE                       says "ready"
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from superhero.brokers.arms import ARMS, Arm, Place
from superhero.brokers.records import records

_SAY_EVERY_S = 0.02


def main() -> None:
    """Do what the command line says."""
    role, place, *arguments = sys.argv[1:]
    where = Place(**json.loads(Path(place).read_text(encoding="utf-8")))
    arm = ARMS[where.arm](where)
    if role == "publish":
        count, seed, rate = arguments
        _publish(arm, int(count), int(seed), float(rate))
    elif role == "consume":
        _consume(arm, int(arguments[0]))
    else:
        arm.relay(lambda: _say("ready"))


def _publish(arm: Arm, count: int, seed: int, rate: float) -> None:
    rows = records(seed, count)
    with arm.publisher() as publish:
        _say("began")
        began = said_at = time.monotonic()
        for number, row in enumerate(rows):
            if rate:
                # An absolute schedule, so that the rate holds; late, it catches up.
                time.sleep(max(began + number / rate - time.monotonic(), 0.0))
            row["sent"] = time.time()
            publish(row)
            if time.monotonic() - said_at >= _SAY_EVERY_S:
                _say(f"sent {number + 1}")
                said_at = time.monotonic()
        _say(f"sent {count}")


def _consume(arm: Arm, slot: int) -> None:
    folder = Path(arm.place.folder)
    fd = os.open(folder / f"{slot}-{os.getpid()}.jsonl", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    arm.consume(slot, lambda row: os.write(fd, row + b"\n"), lambda: _say("ready"))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
