"""Where heroes are kept: the file shipped with the package, files of Super Hero API's shape, and Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any

import redis

from superhero import keys
from superhero.config import without_password
from superhero.errors import RosterError, StoreError
from superhero.redis_clients import client
from superhero.roster.hero import Hero, read_records, refuse_duplicates

SHIPPED = "heroes.json"
_TIMEOUT_S = 10.0


def shipped() -> list[Hero]:
    """Return the heroes that come with the package, by id."""
    text = resources.files("superhero.roster").joinpath(SHIPPED).read_text(encoding="utf-8")
    return read_records(json.loads(text), SHIPPED)


def read_file(path: Path) -> list[Hero]:
    """Return the heroes of a file: a JSON list of records as Super Hero API serves them.

    Raise RosterError for a file that cannot be read, is no such list, or has an id twice.
    """
    try:
        return read_records(json.loads(path.read_text(encoding="utf-8")), str(path))
    except OSError as error:
        raise RosterError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:  # not UTF-8 is a ValueError, too
        raise RosterError(f"{path} is not JSON: {error!s:.200}") from error


def store(redis_url: str, heroes: Sequence[Hero], replace: bool = True) -> None:
    """Put heroes into Redis in one step; whoever reads sees the roster before or after it, nothing between.

    `replace` drops all who were there, otherwise only those of the same ids. Raise RosterError when there is
    nobody to store, StoreError when Redis does not do it.
    """
    fields = _fields(heroes)
    with _connected(redis_url) as shelf, shelf.pipeline(transaction=True) as step:
        if replace:
            step.delete(keys.superheros())
        step.hset(keys.superheros(), mapping=fields)
        step.execute()


def store_if_empty(redis_url: str, heroes: Sequence[Hero]) -> bool:
    """Put heroes into Redis unless somebody is there already; whether it was us who did.

    Of many that try at the same time one stores. Raise as `store` does.
    """
    fields = _fields(heroes)
    with _connected(redis_url) as shelf, shelf.pipeline(transaction=True) as step:
        step.watch(keys.superheros())
        if step.exists(keys.superheros()):
            return False
        step.multi()
        step.hset(keys.superheros(), mapping=fields)
        try:
            step.execute()
        except redis.WatchError:
            return False
    return True


def stored(redis_url: str) -> list[Hero]:
    """Return the heroes in Redis, by id; none when nobody was loaded. Raise StoreError or RosterError."""
    with _connected(redis_url) as shelf:
        found: dict[str, str] = shelf.hgetall(keys.superheros())
    try:
        records = [json.loads(text) for text in found.values()]
    except ValueError as error:
        raise StoreError(f"{keys.superheros()} in Redis holds what is not JSON: {error!s:.200}") from error
    return sorted(read_records(records, f"{keys.superheros()} in Redis"), key=lambda hero: hero.id)


def _fields(heroes: Sequence[Hero]) -> dict[str, str]:
    if not heroes:
        raise RosterError("there are no heroes to store")
    refuse_duplicates(heroes, "heroes to store")
    return {str(hero.id): hero.stored() for hero in heroes}


@contextmanager
def _connected(redis_url: str) -> Iterator[Any]:
    """Yield a client whose errors come out as StoreError."""
    try:
        with client(redis_url, decode_responses=True, socket_timeout=_TIMEOUT_S) as connected:
            yield connected
    except redis.RedisError as error:
        raise StoreError(f"Redis at {without_password(redis_url)}: {error}") from error
