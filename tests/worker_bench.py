"""Workers as real processes for tests, messages published by hand, and a look at what became of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from superhero.ops.processes import Process, Processes, celery_argv, project_root
from superhero.transport.confirmed import ConfirmedSender, RawMessage
from superhero.transport.envelope import Envelope, encode, task_body, task_headers
from superhero.transport.topology import DEAD_QUEUE, EXCHANGE, EXCHANGE_NAME, UNROUTED_QUEUE, channel_queue

CHANNEL = "superhero.test"


def envelope(
    number: int,
    *,
    channel: str = CHANNEL,
    producer: str = "tester",
    event: str | None = None,
    payload: Mapping[str, Any] | None = None,
) -> Envelope:
    """Return a record as the transport would have made it."""
    return Envelope(
        id=f"{producer}:{number}",
        channel=channel,
        time="2026-01-31T12:00:00.000000Z",
        level="INFO",
        logger=channel,
        event=event,
        message=f"record {number}",
        payload=payload,
    )


def task(
    envelopes: Iterable[Envelope], *, channel: str = CHANNEL, task_id: str = "", **headers: Any
) -> RawMessage:
    """Return the ingest task of these records."""
    encoded, task_id = [encode(each) for each in envelopes], task_id or str(uuid.uuid4())
    return RawMessage(
        task_body(channel, encoded),
        headers={**task_headers(channel, task_id, len(encoded), "?"), **headers},
        properties={"correlation_id": task_id},
    )


def publish(broker_url: str, *messages: RawMessage, channel: str = CHANNEL) -> None:
    """Publish as the transport does: everything declared first, and confirmed."""
    with ConfirmedSender(broker_url) as sender:
        for message in messages:
            sender.send(
                message,
                EXCHANGE_NAME,
                channel,
                declare=[EXCHANGE, UNROUTED_QUEUE, DEAD_QUEUE, channel_queue(channel)],
            )


@dataclass(frozen=True)
class Bench:
    """A broker, a Redis and a folder for one test's workers."""

    processes: Processes
    broker_url: str
    redis_url: str
    folder: Path

    def worker(
        self, name: str = "worker", *options: str, concurrency: int = 1, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a worker and wait until it consumes."""
        process = self.start(name, *options, concurrency=concurrency, env=env)
        process.wait_for_line(r"[^ ]+@.* ready\.", 30)
        return process

    def start(
        self, name: str = "worker", *options: str, concurrency: int = 1, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a worker."""
        argv = celery_argv(*self.options(name, *options, concurrency=concurrency))
        environ = {**self.environ(), **(env or {})}
        return self.processes.start(name, argv, environ, self.folder / f"{name}.log", project_root())

    def options(self, name: str, *options: str, concurrency: int) -> list[str]:
        """Return the arguments of a worker."""
        own = ["--concurrency", str(concurrency), "--hostname", f"{name}@test", "--loglevel", "INFO"]
        return ["worker", *own, *options]

    def environ(self) -> dict[str, str]:
        """Return the settings of a worker."""
        return {
            "BROKER_URL": self.broker_url,
            "REDIS_URL": self.redis_url,
            "OUTPUT_DIR": str(self.folder / "data"),
            "CHANNELS": CHANNEL,
        }

    def publish(self, *messages: RawMessage, channel: str = CHANNEL) -> None:
        """Publish to a channel."""
        publish(self.broker_url, *messages, channel=channel)

    def record_ids(self) -> list[str]:
        """Return the ids of all records in the sink, sorted; one that is there twice comes twice."""
        files = (self.folder / "data" / "superhero" / "RECORDS").glob("*.jsonl")
        lines = [line for path in files for line in path.read_bytes().splitlines(keepends=True)]
        # A line without its end is being written right now.
        found = [json.loads(line)["record_id"] for line in lines if line.endswith(b"\n")]
        return sorted(found, key=_by_number)


def _by_number(record_id: str) -> tuple[str, int]:
    producer, _, number = record_id.rpartition(":")
    return producer, int(number)


def ids(numbers: Iterable[int], producer: str = "tester") -> list[str]:
    """Return record ids."""
    return [f"{producer}:{number}" for number in numbers]


def body_of(value: object) -> bytes:
    """Return a task body around anything."""
    return json.dumps(value).encode()
