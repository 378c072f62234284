"""Take an empty Redis database for oneself, safe against others who do the same at the same time.

A claim is a key in database 0 that names a connection, and that connection, kept open. When its holder dies,
however that comes, the connection is gone: the next one may then empty the database and take it, if the mark
that the holder made in it is still there. Without it somebody else may have come to use the database.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import redis

from superhero import keys
from superhero.config import without_password
from superhero.errors import ServiceError
from superhero.redis_clients import client, with_database

_DATABASES = range(15, 0, -1)  # 0 is where people keep things
_TIMEOUT_S = 10.0

MARK = "superhero:claimed-by"
"""The one key that a claimed database holds from the start."""


@contextmanager
def claimed_database(server_url: str) -> Iterator[str]:
    """Yield the URL of a database on the Redis at `server_url`, empty but for MARK; it is emptied afterwards.

    Raise ServiceError when Redis does not answer, or none of its databases 1 to 15 is empty and unclaimed.
    """
    holder = f"superhero-{secrets.token_hex(8)}"
    with _connected(server_url, holder) as claims:
        try:
            database = _claim(claims, server_url, holder)
        except redis.RedisError as error:
            raise _refused(server_url, error) from error
        url = with_database(server_url, database)
        try:
            yield url
        finally:
            _empty(url)
            claims.delete(_claim_key(database))


def _connected(server_url: str, holder: str) -> redis.Redis:
    """Connect at once, by one connection that is kept and named after the holder."""
    try:
        return client(
            with_database(server_url, 0),
            client_name=holder,
            single_connection_client=True,
            decode_responses=True,
            socket_timeout=_TIMEOUT_S,
        )
    except redis.RedisError as error:
        raise _refused(server_url, error) from error


def _refused(server_url: str, error: redis.RedisError) -> ServiceError:
    return ServiceError(f"Redis at {without_password(server_url)}: {error}")


def _claim(claims: redis.Redis, server_url: str, holder: str) -> int:
    for database in _DATABASES:
        key, url = _claim_key(database), with_database(server_url, database)
        if claims.set(key, holder, nx=True):
            if _is_free(url):
                _mark(url, holder)
                return database
            claims.delete(key)  # somebody's data, though nobody's claim
        elif (dead := _take_over(claims, key, holder)) is not None:
            if _is_marked(url, dead):
                _empty(url)
            if _size(url) == 0:
                _mark(url, holder)
                return database
            claims.delete(key)
    raise ServiceError(
        f"none of the databases 1 to 15 of the Redis at {without_password(server_url)} is empty and unclaimed"
    )


def _take_over(claims: redis.Redis, key: str, holder: str) -> str | None:
    """Replace a claim whose holder is gone and return who that was; None if it lives or others are faster."""
    with claims.pipeline() as step:
        step.watch(key)
        # Looked up after the claim was read: who wrote it was connected before it wrote.
        dead = step.get(key)
        if dead in {each["name"] for each in claims.client_list()}:
            return None
        step.multi()
        step.set(key, holder)
        try:
            step.execute()
        except redis.WatchError:
            return None
    return str(dead)


def _mark(url: str, holder: str) -> None:
    with client(url, socket_timeout=_TIMEOUT_S) as database:
        database.set(MARK, holder)


def _is_marked(url: str, holder: str) -> bool:
    with client(url, socket_timeout=_TIMEOUT_S, decode_responses=True) as database:
        return bool(database.get(MARK) == holder)


def _claim_key(database: int) -> str:
    return f"superhero:claim:{database}"


def _is_free(url: str) -> bool:
    """Tell whether a database is empty, but for what processes said of themselves that are no more."""
    with client(url, socket_timeout=_TIMEOUT_S) as database:
        # What was killed, or ended after its database was given back, leaves such keys for a day.
        ours = set(database.scan_iter(keys.pulse_pattern(), count=1000))
        living = set(database.scan_iter(keys.pulse_process("*"), count=1000))
        if living or database.dbsize() != len(ours):
            return False
        if ours:
            database.delete(*ours)
        return True


def _size(url: str) -> int:
    with client(url, socket_timeout=_TIMEOUT_S) as database:
        return int(database.dbsize())


def _empty(url: str) -> None:
    with client(url, socket_timeout=_TIMEOUT_S) as database:
        database.flushdb()
