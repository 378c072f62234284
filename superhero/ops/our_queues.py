"""Look at the pipeline's queues: which there are, what waits in them, and who consumes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import httpx

from superhero.config import Settings
from superhero.errors import ServiceError
from superhero.events import CHANNELS
from superhero.ops.reach import is_redis
from superhero.ops.vhosts import find_rabbitmqctl, run_rabbitmqctl
from superhero.ops.watching import Watching
from superhero.transport.tls import secure_connection
from superhero.transport.topology import DEAD_NAME, EXCHANGE_NAME, UNROUTED_NAME

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_MANAGEMENT_PORT = 15672
_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Depth:
    """How one queue stands; None for both where the broker does not know it."""

    name: str
    waiting: int | None
    consumers: int | None


def our_queues(settings: Settings, timeout_s: float = 3.0) -> list[Depth]:
    """Return how our queues stand: those of the known channels, and any other that a publisher declared.

    The others are found where the management API answers or rabbitmqctl may be run here; with neither, and
    on a Redis broker, only known channels are looked at.
    """
    known = [*dict.fromkeys((*CHANNELS, *settings.channels)), UNROUTED_NAME, DEAD_NAME]
    others = sorted(set(bound_queues(settings, timeout_s)) - set(known))
    return list(_depths(settings.broker_url, [*known, *others], timeout_s))


class QueueNames(Watching):
    """Knows the queues that are bound to our exchange; looks once a minute, in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        super().__init__("queue-names")
        self._settings = settings
        self.names: list[str] = []
        """As of the last look."""
        self.known = False
        """Whether there was a look."""

    def _watch(self) -> None:
        while not self._over.is_set():
            self.names = bound_queues(self._settings)
            self.known = True
            self._over.wait(_EVERY_S)


def management_api(settings: Settings) -> tuple[str, tuple[str, str]]:
    """Return where RabbitMQ's management API is, or would usually be, and the login for it."""
    broker = urlsplit(settings.broker_url.partition(";")[0])
    url = settings.rabbitmq_management_url or f"http://{broker.hostname}:{_MANAGEMENT_PORT}"
    login = urlsplit(url) if urlsplit(url).username else broker
    return url.rstrip("/"), (unquote(login.username or "guest"), unquote(login.password or "guest"))


def _depths(url: str, names: Sequence[str], timeout_s: float) -> Iterator[Depth]:
    """Look at each by a passive declare; that of an unknown one closes its channel, so each has its own."""
    with secure_connection(url, connect_timeout=timeout_s) as connection:
        for name in names:
            try:
                with connection.channel() as channel:
                    found = channel.queue_declare(queue=name, passive=True)
            except connection.channel_errors:
                yield Depth(name, None, None)
            else:
                yield Depth(name, found.message_count, found.consumer_count)


def bound_queues(settings: Settings, timeout_s: float = 3.0) -> list[str]:
    """Return the queues that are bound to our exchange, as far as anybody tells us."""
    if is_redis(settings.broker_url):
        return []
    parts = urlsplit(settings.broker_url.partition(";")[0])
    vhost = unquote(parts.path[1:]) or "/"
    try:
        return _by_management(settings, vhost, timeout_s)
    except (httpx.HTTPError, ValueError):  # or it answers what is no JSON
        rabbitmqctl = find_rabbitmqctl() if parts.hostname in _LOOPBACK else None
    try:
        return [] if rabbitmqctl is None else _by_rabbitmqctl(rabbitmqctl, vhost)
    except ServiceError:
        return []  # we may not run it, or it speaks to another node than the one behind the URL


def _by_management(settings: Settings, vhost: str, timeout_s: float) -> list[str]:
    url, auth = management_api(settings)
    with httpx.Client(auth=auth, timeout=timeout_s, trust_env=False) as http:
        answer = http.get(f"{url}/api/exchanges/{quote(vhost, safe='')}/{EXCHANGE_NAME}/bindings/source")
    answer.raise_for_status()
    return [each["destination"] for each in answer.json() if each["destination_type"] == "queue"]


def _by_rabbitmqctl(rabbitmqctl: Path, vhost: str) -> list[str]:
    columns = ("source_name", "destination_kind", "destination_name")
    listing = run_rabbitmqctl(rabbitmqctl, "list_bindings", "-p", vhost, *columns)
    rows = (line.split("\t") for line in listing.splitlines())
    return [row[2] for row in rows if row[:2] == [EXCHANGE_NAME, "queue"]]
