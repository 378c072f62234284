"""What a worker process holds, opened on first use: a connection opened before the fork would be shared."""

from __future__ import annotations

import os
from functools import cache

import redis
from celery import current_app
from redis.backoff import NoBackoff
from redis.retry import Retry

from sinks import open_sink
from sinks.base import Sink


def sink() -> Sink:
    """Return this process's sink."""
    return _sink(os.getpid())


def redis_client() -> redis.Redis:
    """Return this process's client of the Redis that holds the games."""
    return _redis_client(os.getpid())


def game_ttl_s() -> int:
    """Return how many seconds a finished game's keys live on."""
    return int(current_app.conf.superhero_game_ttl_s)


@cache
def _sink(process_id: int) -> Sink:
    return open_sink(current_app.conf.superhero_sinks)


@cache
def _redis_client(process_id: int) -> redis.Redis:
    # Retries are the task's business, and a task must be over before its broker hands it to another.
    return redis.Redis.from_url(
        current_app.conf.superhero_redis_url,
        socket_connect_timeout=2,
        socket_timeout=2,
        retry=Retry(NoBackoff(), 0),
    )
