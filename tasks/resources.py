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
from superhero.pulse.notes import Notes
from superhero.redis_clients import client
from superhero.transport.confirmed import ConfirmedSender


def sink() -> Sink:
    """Return this process's sink."""
    return _sink(os.getpid())


def redis_client() -> redis.Redis:
    """Return this process's client of the Redis that holds the games."""
    return _redis(os.getpid(), current_app.conf.superhero_secret_redis_url)


def sender() -> ConfirmedSender:
    """Return this process's own connection for what it sends to the broker itself."""
    return _sender(os.getpid())


def notes() -> Notes:
    """Return what takes this process's notes of its batches."""
    return _notes(os.getpid())


def broker_is_redis() -> bool:
    """Tell whether tasks come from a Redis, which has no dead letters and counts no deliveries."""
    return bool(current_app.conf.superhero_broker_is_redis)


def broker_redis() -> redis.Redis:
    """Return this process's client of the Redis that is the broker."""
    return _redis(os.getpid(), current_app.conf.superhero_secret_broker_url)


def game_ttl_s() -> int:
    """Return how many seconds a finished game's keys live on."""
    return int(current_app.conf.superhero_game_ttl_s)


@cache
def _sink(process_id: int) -> Sink:
    return open_sink(current_app.conf.superhero_secret_sinks)


@cache
def _sender(process_id: int) -> ConfirmedSender:
    return ConfirmedSender(current_app.conf.superhero_secret_broker_url)


@cache
def _notes(process_id: int) -> Notes:
    return Notes(current_app.conf.superhero_secret_redis_url)


@cache
def _redis(process_id: int, url: str) -> redis.Redis:
    # Retries are the task's business, and a task must be over before its broker hands it to another.
    return client(url, socket_connect_timeout=2, socket_timeout=2, retry=Retry(NoBackoff(), 0))
