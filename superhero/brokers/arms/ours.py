"""Ours: the logging transport, the worker and the sink of this project."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from superhero.brokers.arms.arm import Arm, Publish, Row
from superhero.ops.processes import celery_argv

_FLUSH_S = 30.0


class Ours(Arm):
    """Batches, confirms in a window, quorum queues, late acknowledgement, a sink that knows what it has."""

    name = "superhero"
    title = "superhero"
    broker = "ours"
    settings = "CeleryHandler with a spool; batches; a quorum queue; rows synced to disk, each id once."

    @contextmanager
    def publisher(self) -> Iterator[Publish]:
        """Log each record."""
        from superhero.transport import CeleryHandler

        log, spool = logging.getLogger(self.place.queue), Path(self.place.folder) / "spool"
        handler = CeleryHandler(broker_url=self.place.url, spool_dir=str(spool))
        log.setLevel(logging.INFO)
        log.propagate = False
        log.addHandler(handler)

        def publish(row: Row) -> None:
            log.info("record %d", row["number"], extra={"event": "trial.record", "payload": row})

        with closing(handler):
            log.info("connecting")  # others are connected before the clock starts, too
            handler.flush(_FLUSH_S)
            yield publish
            handler.flush(_FLUSH_S)

    def worker_argv(self, slot: int) -> list[str]:
        """Return the command line of our worker."""
        options = ("--concurrency", "1", "--hostname", f"w{slot}@%h", "--loglevel", "INFO")
        return celery_argv("worker", *options)

    def worker_env(self) -> dict[str, str]:
        """Return what makes it consume this trial's channel."""
        return {
            "BROKER_URL": self.place.url,
            "REDIS_URL": self.place.redis_url,
            "OUTPUT_DIR": self.place.folder,
            "SINKS": "",
            "CHANNELS": self.place.queue,
        }

    def row_files(self) -> Iterable[Path]:
        """Return the files of the dataset RECORDS."""
        return sorted((Path(self.place.folder) / "superhero" / "RECORDS").glob("*.jsonl"))
