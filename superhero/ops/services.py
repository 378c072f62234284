"""Find a broker and a Redis to run against, and say which they are and what they do not promise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from superhero.config import Settings, without_password
from superhero.errors import ServiceError
from superhero.ops.claims import claimed_database
from superhero.ops.embedded import EmbeddedRedis
from superhero.ops.rabbitmq import PrivateRabbit, find_server
from superhero.ops.reach import is_redis, reach
from superhero.ops.vhosts import fresh_vhost

Kind = Literal["rabbitmq", "private-rabbitmq", "redis", "embedded"]

_EMBEDDED_LIMITS = (
    "It is one process whose append-only file is fsynced once a second: a crash of it loses nothing, a power "
    "cut up to one second of acknowledged work. While it is down everything waits."
)
_REDIS_BROKER_LIMITS = (
    "Redis as a broker has no quorum queues, no confirms of its own, no delivery limit and no dead-letter "
    "exchange: the worker keeps attempts and dead letters, and what a killed worker held comes back after "
    "seconds."
)


@dataclass(frozen=True, slots=True)
class Services:
    """What a run uses. `kind` is the broker's; `notes` are sentences for whoever reads the output."""

    broker_url: str = field(repr=False)  # a password may be in it
    redis_url: str = field(repr=False)
    kind: Kind
    notes: list[str] = field(default_factory=list)


@contextmanager
def open_services(
    settings: Settings, *, workdir: Path, explicit: bool, fresh: bool, embedded: bool = False
) -> Iterator[Services]:
    """Yield services that answer, and clean up afterwards what was made for this run.

    settings  says where to look
    workdir   where a server of our own keeps its data; kept, so that a next run finds it unless fresh
    explicit  the user set the URLs: one that is not the default is used or fails, with no silent fallback
    fresh     an empty vhost and Redis database of this run's own; without RabbitMQ a private node where
              rabbitmq-server is installed
    embedded  the embedded server for both, wherever else something answers

    Raise ServiceError when nothing suits.
    """
    finder = _Finder(settings, workdir, explicit, fresh)
    with finder.stack:
        redis_url = finder.embedded_redis() if embedded else finder.redis()
        broker_url, kind = finder.embedded_broker() if embedded else finder.broker()
        yield Services(broker_url, redis_url, kind, finder.notes)


class _Finder:
    """One search; what it opens is on `stack`."""

    def __init__(self, settings: Settings, workdir: Path, explicit: bool, fresh: bool) -> None:
        self.stack = ExitStack()
        self.notes: list[str] = []
        self._settings = settings
        self._workdir = workdir
        self._explicit = explicit
        self._fresh = fresh
        self._embedded_server: EmbeddedRedis | None = None

    def redis(self) -> str:
        """Return the URL of the Redis for the games' state."""
        url = self._settings.redis_url
        if not self._answers("REDIS_URL", url, Settings().redis_url):
            return self.embedded_redis()
        if self._fresh:
            url = self.stack.enter_context(claimed_database(url))
        self.notes.append(f"State: Redis at {without_password(url)}.")
        return url

    def broker(self) -> tuple[str, Kind]:
        """Return the URL and kind of the broker."""
        url = self._settings.broker_url
        if self._answers("BROKER_URL", url, Settings().broker_url):
            return self._redis_broker(url) if is_redis(url) else self._rabbitmq(url)
        if self._fresh and find_server() is not None:
            return self._private_rabbit()
        return self.embedded_broker()

    def embedded_redis(self) -> str:
        """Return the URL of the embedded server's database for the games' state."""
        self.notes.append("State: the embedded server, started for this run.")
        return self._embedded().url(0)

    def embedded_broker(self) -> tuple[str, Kind]:
        """Return the URL of the embedded server's database for tasks."""
        self.notes.append(f"Broker: the embedded server. {_EMBEDDED_LIMITS} {_REDIS_BROKER_LIMITS}")
        return self._embedded().url(1), "embedded"

    def _answers(self, variable: str, url: str, default: str) -> bool:
        answer = reach(url)
        if not answer.reachable and self._explicit and url != default:
            remedy = answer.remedy or f"start it, or set {variable} to where it is"
            raise ServiceError(
                f"{variable} is {without_password(url)}, but there: {answer.error}; {remedy}; "
                f"or unset {variable} to let a server be started for this run"
            )
        return answer.reachable

    def _rabbitmq(self, url: str) -> tuple[str, Kind]:
        if not self._fresh:
            self.notes.append(f"Broker: RabbitMQ at {without_password(url)}.")
            return url, "rabbitmq"
        try:
            fresh_url = self.stack.enter_context(fresh_vhost(url, self._settings.rabbitmq_management_url))
        except ServiceError as error:
            if find_server() is None and self._explicit:
                raise
            self.notes.append(f"The RabbitMQ at {without_password(url)} is left alone: {error}.")
            return self._private_rabbit() if find_server() is not None else self.embedded_broker()
        self.notes.append(f"Broker: RabbitMQ, in a vhost made for this run: {without_password(fresh_url)}.")
        return fresh_url, "rabbitmq"

    def _redis_broker(self, url: str) -> tuple[str, Kind]:
        if self._fresh:
            url = self.stack.enter_context(claimed_database(url))
        self.notes.append(f"Broker: Redis at {without_password(url)}. {_REDIS_BROKER_LIMITS}")
        return url, "redis"

    def _private_rabbit(self) -> tuple[str, Kind]:
        node = self.stack.enter_context(PrivateRabbit(self._workdir / "rabbitmq"))
        self.notes.append(
            f"Broker: a RabbitMQ node of this run's own on port {node.port}; it promises what RabbitMQ "
            "promises on one node, and ends with the run."
        )
        return node.url(), "private-rabbitmq"

    def _embedded(self) -> EmbeddedRedis:
        if self._embedded_server is None:
            self._embedded_server = self.stack.enter_context(EmbeddedRedis(self._workdir / "embedded"))
        return self._embedded_server
