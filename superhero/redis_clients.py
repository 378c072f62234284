"""Clients of the Redis that a URL names: one server, or the master that Sentinels know.

    redis://[user:password@]host:6379/0                              rediss:// with TLS
    sentinel://[user:password@]host1:26379,host2:26379/mymaster/0    sentinels:// with TLS, to all of them

User and password are those of Redis; where the Sentinels ask for some too, `?sentinel_username=` and
`?sentinel_password=` say which. A TLS option counts for both. The Sentinels are asked anew for each
connection, by connections that end at once; one to a master that was replaced is given up as soon as it is
refused a write, so that a client comes to the new master by itself. They must know the servers by addresses
that we can reach. A Sentinel that has an IPv6 address alone needs a name: among several hosts, Python's URLs
take no brackets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import redis
from redis import asyncio as aio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.asyncio.sentinel import Sentinel as AsyncSentinel
from redis.asyncio.sentinel import SentinelConnectionPool as AsyncMasterPool
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelConnectionPool

from superhero.errors import StoreError

SENTINEL_SCHEMES = ("sentinel", "sentinels")
SCHEMES = ("redis", "rediss", *SENTINEL_SCHEMES)

_SENTINEL_PORT = 26379
_SENTINEL_TIMEOUT_S = 1.0
"""What one Sentinel may take. It is asked once, then the next one: a call has three seconds in all."""
_LOGIN = ("sentinel_username", "sentinel_password")
_TLS = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_PLACE = re.compile(r"/(?P<name>[^/]+)(?:/(?P<database>[0-9]+))?/?")


def uses_sentinels(url: str) -> bool:
    """Tell whether `url` names Sentinels rather than a server."""
    return urlsplit(url).scheme in SENTINEL_SCHEMES


def client(url: str, **options: Any) -> redis.Redis:
    """Return a client; `options` are those of `redis.Redis`. It connects when it is first used.

    Raise StoreError for a URL that cannot be used.
    """
    if not uses_sentinels(url):
        return redis.Redis.from_url(url, **options)
    own = {name: options.pop(name) for name in ("single_connection_client",) if name in options}
    place = MasterPlace.of(url)
    pool = SentinelConnectionPool(place.name, _Asked(place), **place.connection(), **options)
    return redis.Redis(connection_pool=pool, **own)


def blocking_pool(url: str, **options: Any) -> aio.BlockingConnectionPool:
    """Return a pool for asyncio; `options` are those of the pool and of its connections.

    Raise StoreError for a URL that cannot be used.
    """
    if not uses_sentinels(url):
        return aio.BlockingConnectionPool.from_url(url, **options)
    place = MasterPlace.of(url)
    asked = _AskedInLoop(place)
    return _BlockingMasterPool(place.name, asked, **place.connection(), **options)  # type: ignore[no-untyped-call]  # redis-py's


def with_database(url: str, database: int) -> str:
    """Return `url` with another database."""
    parts = urlsplit(url)
    path = f"/{MasterPlace.of(url).name}/{database}" if uses_sentinels(url) else f"/{database}"
    # What is said of TLS counts for every database; `?db=` would outdo the path.
    kept = "&".join(option for option in parts.query.split("&") if not option.startswith("db="))
    return parts._replace(path=path, query=kept).geturl()


@dataclass(frozen=True, slots=True)
class MasterPlace:
    """Where the master is to be asked for: the Sentinels, its name there, and how to log in."""

    sentinels: tuple[tuple[str, int], ...]
    name: str
    database: int
    tls: bool
    login: Mapping[str, str] = field(repr=False)
    options: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, url: str) -> MasterPlace:
        """Read a URL of SENTINEL_SCHEMES. Raise StoreError, which shows no password, if it is none."""
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise StoreError(f"a sentinel:// URL cannot be read: {error}") from error
        login, _, hosts = parts.netloc.rpartition("@")
        user, _, password = login.partition(":")
        place = _PLACE.fullmatch(parts.path)
        options = dict(parse_qsl(parts.query))
        unknown = sorted(options.keys() - {*_LOGIN, *_TLS})
        if parts.scheme not in SENTINEL_SCHEMES or not hosts or place is None or unknown:
            raise StoreError(
                f"{hosts}{parts.path}{f' with {unknown[0]}' if unknown else ''} names no Sentinels and no "
                "master; that is like sentinel://host1:26379,host2:26379/mymaster/0"
            )
        given = {"username": unquote(user), "password": unquote(password)}
        return cls(
            sentinels=tuple(_address(host) for host in hosts.split(",")),
            name=unquote(place["name"]),
            database=int(place["database"] or 0),
            tls=parts.scheme == "sentinels",
            login={name: value for name, value in given.items() if value},
            options=options,
        )

    def connection(self) -> dict[str, Any]:
        """Return what a connection to the master is made of."""
        return {"db": self.database, **self.login, **({"ssl": True, **self._tls()} if self.tls else {})}

    def of_sentinels(self) -> dict[str, Any]:
        """Return what a connection to a Sentinel is made of."""
        given = {
            name.removeprefix("sentinel_"): self.options[name] for name in _LOGIN if name in self.options
        }
        timeouts = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), _SENTINEL_TIMEOUT_S)
        return {**timeouts, **given, **({"ssl": True, **self._tls()} if self.tls else {})}

    def _tls(self) -> dict[str, Any]:
        given = {name: self.options[name] for name in _TLS if name in self.options}
        return {"ssl_cert_reqs": "required", "ssl_check_hostname": True, **given}


class _Asked:
    """Sentinels as the pool knows them, asked by connections that end at once."""

    def __init__(self, place: MasterPlace) -> None:
        self._place = place

    def discover_master(self, name: str) -> tuple[str, int]:
        once = {"retry": Retry(NoBackoff(), 0)}
        asked = Sentinel(self._place.sentinels, sentinel_kwargs=self._place.of_sentinels() | once)
        try:
            host, port = asked.discover_master(name)
            return host, port
        finally:
            for sentinel in asked.sentinels:
                sentinel.close()


class _AskedInLoop:
    """The same, for asyncio."""

    def __init__(self, place: MasterPlace) -> None:
        self._place = place

    async def discover_master(self, name: str) -> tuple[str, int]:
        once = {"retry": AsyncRetry(NoBackoff(), 0)}
        asked = AsyncSentinel(self._place.sentinels, sentinel_kwargs=self._place.of_sentinels() | once)
        try:
            host, port = await asked.discover_master(name)
            return host, port
        finally:
            for sentinel in asked.sentinels:
                await sentinel.aclose()


class _BlockingMasterPool(AsyncMasterPool, aio.BlockingConnectionPool):
    """Sentinel's pool that waits for a free connection, as ours do, where its own raises at once."""


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":") if re.search(r":[0-9]+$", text) else (text, "", "")
    return host, int(port or _SENTINEL_PORT)
