"""Celery, a task per record: on Redis, on RabbitMQ, and on RabbitMQ as it comes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from superhero.brokers.arms.arm import Arm, Broker, Publish, encoded


class CeleryOnRabbit(Arm):
    """What an experienced user sets: acknowledged late."""

    name = "celery-rabbitmq"
    title = "Celery on RabbitMQ"
    broker: ClassVar[Broker] = "rabbitmq"
    settings = "A task per record, acks_late and reject_on_worker_lost, else defaults; one child per worker."
    app: ClassVar[str] = "on_rabbitmq"

    @contextmanager
    def publisher(self) -> Iterator[Publish]:
        """Send a task per record, over one kept connection."""
        from superhero.brokers.arms import celery_apps

        app: Any = getattr(celery_apps, self.app)
        app.conf.broker_url = self.place.url
        task, path = app.tasks["brokers.append"], str(Path(self.place.folder) / "rows.jsonl")
        with app.producer_pool.acquire(block=True) as producer:
            producer.connection.ensure_connection(max_retries=1)

            def publish(row: Any) -> None:
                task.apply_async((path, encoded(row).decode()), queue=self.place.queue, producer=producer)

            yield publish

    def worker_argv(self, slot: int) -> list[str]:
        """Return the command line of a Celery worker."""
        app = f"superhero.brokers.arms.celery_apps:{self.app}"
        options = ("--concurrency", "1", "--hostname", f"w{slot}@%h", "--loglevel", "INFO")
        return [sys.executable, "-m", "celery", "-A", app, "worker", "-Q", self.place.queue, *options]

    def worker_env(self) -> dict[str, str]:
        """Name the broker where no process list shows it."""
        return {"BROKER_URL": self.place.url}


class CeleryDefaults(CeleryOnRabbit):
    """As the first page of its documentation has it."""

    name = "celery-defaults"
    title = "Celery, defaults"
    settings = "A task per record on RabbitMQ, nothing set: acknowledged before it runs, no confirms."
    app = "defaults"


class CeleryOnRedis(CeleryOnRabbit):
    """What a dead worker held comes back after the visibility timeout; by default that is an hour."""

    name = "celery-redis"
    title = "Celery on Redis"
    broker = "redis"
    settings = "As on RabbitMQ, with a visibility timeout of 10 s looked at every second (default: an hour)."
    app = "on_redis"
    patience_s = 30.0
    settle_s = 15.0
