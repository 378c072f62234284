"""Put records, encoded beforehand, onto a queue as fast as the broker takes them: only workers count."""

from __future__ import annotations

import argparse
import json
import time

from benchmarks.workload import Row, RowHandler, log_order, logger
from superhero.transport.amqp_sender import AmqpSender
from superhero.transport.envelope import Envelope, encode
from superhero.transport.flight import Limits
from superhero.transport.leases import Lease, task_id

_WINDOW = 32


def main() -> None:
    """Print when the first batch left, by the monotonic clock."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker-url", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--producer", required=True)
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    leases: list[Lease] = []

    def keep(rows: list[Row]) -> None:
        encoded = [encode(_envelope(row, options.channel)) for row in rows]
        ids = [row["record_id"] for row in rows]
        leases.append(Lease(task_id(map(str.encode, ids)), options.channel, ids[0], encoded))

    handler = RowHandler(options.producer, Limits.batch_records, keep)
    with logger(options.channel, handler) as log:
        for number in range(options.count):
            log_order(log, number)
        handler.flush()
    sender = AmqpSender(options.broker_url)
    sender.open()
    print("warm", flush=True)
    began = time.monotonic()
    _send(sender, leases)
    sender.close()
    print(json.dumps({"began": began, "ended": time.monotonic()}), flush=True)


def _envelope(row: Row, channel: str) -> Envelope:
    fields = {name: value for name, value in row.items() if name not in ("record_id", "channel")}
    return Envelope(id=row["record_id"], channel=channel, **fields)


def _send(sender: AmqpSender, leases: list[Lease]) -> None:
    unconfirmed = 0
    for lease in leases:
        sender.send(lease)
        unconfirmed += 1
        while unconfirmed >= _WINDOW:
            unconfirmed -= len(sender.wait(1.0))
    while unconfirmed:
        unconfirmed -= len(sender.wait(1.0))


if __name__ == "__main__":
    main()
