"""Celery apps to compare with: a task per record, which appends a line. The broker comes from BROKER_URL."""

from __future__ import annotations

import os

from celery import Celery

VISIBILITY_TIMEOUT_S = 10

_LATE = {"task_acks_late": True, "task_reject_on_worker_lost": True}


def append(path: str, line: str) -> None:
    """Append a line to a file, whole or not at all."""
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
    try:
        os.write(fd, line.encode() + b"\n")
    finally:
        os.close(fd)


def _app(name: str, **settings: object) -> Celery:
    app = Celery(name, set_as_current=False)
    # The default, said aloud: else Celery warns of a change.
    app.conf.update(broker_connection_retry_on_startup=True, task_ignore_result=True, **settings)
    app.task(name="brokers.append")(append)
    return app


defaults = _app("defaults")
on_rabbitmq = _app("on_rabbitmq", **_LATE)
on_redis = _app(
    "on_redis",
    **_LATE,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
)
