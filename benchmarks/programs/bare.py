"""The yardstick: what a bare script does with the raw client, the same batches, codec and file writes.

Confirms in a window, persistent messages, a quorum queue, fdatasync before the acknowledgement: the same
work. No spool, no retries, no ledger against doubles, no quarantine, no topology beyond one queue.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

import amqp
import orjson

from benchmarks.workload import Row, RowHandler, log_order, logger
from superhero.transport.flight import Limits

_WINDOW = 32
_PREFETCH = 16


def main() -> None:
    """Run as a producer or as a consumer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=("produce", "consume"))
    parser.add_argument("--broker-url", required=True)
    parser.add_argument("--queue", required=True)
    parser.add_argument("--batch", type=int, default=Limits.batch_records)
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with _connection(options.broker_url) as connection:
        channel = connection.channel()
        channel.queue_declare(
            options.queue, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"}
        )
        if options.role == "produce":
            _produce(connection, channel, options.queue, options.count, options.batch)
        else:
            _consume(connection, channel, options.queue, options.output)


def _produce(connection: Any, channel: Any, queue: str, count: int, batch: int) -> None:
    channel.confirm_select()
    unconfirmed: set[int] = set()
    sent = 0

    def on_ack(tag: int, multiple: bool) -> None:
        if multiple:
            unconfirmed.difference_update([each for each in unconfirmed if each <= tag])
        else:
            unconfirmed.discard(tag)

    def send(rows: list[Row]) -> None:
        nonlocal sent
        message = amqp.Message(orjson.dumps(rows), delivery_mode=2)
        channel.basic_publish(message, exchange="", routing_key=queue)
        sent += 1
        unconfirmed.add(sent)
        while len(unconfirmed) >= _WINDOW:
            connection.drain_events()

    channel.events["basic_ack"].add(on_ack)
    handler = RowHandler(f"bare-{os.getpid()}", batch, send)
    with logger("bench.bare", handler) as log:
        log_order(log, 0)
        handler.flush()
        while unconfirmed:
            connection.drain_events()
        began, cpu_began = time.monotonic(), time.process_time()
        for number in range(1, count + 1):
            log_order(log, number)
        handler.flush()
        ended = time.monotonic()
        while unconfirmed:
            connection.drain_events()
    print(json.dumps({"began": began, "ended": ended, "cpu_s": time.process_time() - cpu_began}), flush=True)


def _consume(connection: Any, channel: Any, queue: str, output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    place = output / f"{os.getpid()}.jsonl"
    fd = os.open(place, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    signal.signal(signal.SIGTERM, _leave)
    channel.basic_qos(0, _PREFETCH, False)
    channel.basic_consume(queue, callback=_writer(channel, fd))
    print("ready", flush=True)
    while True:
        connection.drain_events()


def _writer(channel: Any, fd: int) -> Callable[[Any], None]:
    def write(message: Any) -> None:
        os.write(fd, b"".join(orjson.dumps(row) + b"\n" for row in orjson.loads(message.body)))
        os.fdatasync(fd)
        channel.basic_ack(message.delivery_tag)

    return write


def _connection(url: str) -> Any:
    parts = urlsplit(url)
    return amqp.Connection(
        f"{parts.hostname}:{parts.port or 5672}",
        userid=unquote(parts.username or "guest"),
        password=unquote(parts.password or "guest"),
        virtual_host=unquote(parts.path.removeprefix("/")) or "/",
    )


def _leave(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
