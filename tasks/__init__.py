"""The Celery app of the workers: `celery -A tasks worker`, from the folder that holds celeryconfig.py."""

from __future__ import annotations

# First: the script `celery` resolves the setting worker_consumer, which names this module, by import.
import tasks.consumer  # noqa: F401  # isort: skip

from celery import Celery

from superhero.events import CHANNELS
from superhero.transport.topology import worker_queues
from tasks import garbage, loglines, start, tracing  # noqa: F401  # connect to signals of Celery's
from tasks.registry import REGISTRY, discover

__all__ = ["app"]

app = Celery("superhero", include=["tasks.ingest"])
app.config_from_object("celeryconfig")
discover()
app.conf.task_queues = worker_queues({*CHANNELS, *REGISTRY.channels(), *app.conf.superhero_channels})
