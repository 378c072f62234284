"""Send leases to a Redis broker in kombu's layout: a command that returned is the confirm."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from kombu import Connection, Producer

from superhero.errors import BrokerUnavailable
from superhero.transport import topology
from superhero.transport.envelope import task_body, task_headers
from superhero.transport.leases import Lease
from superhero.transport.sender import Outcome

_TIMEOUT_S = 5
_TLS_NAMES = {"ca_certs": "ssl_ca_certs", "certfile": "ssl_certfile", "keyfile": "ssl_keyfile"}


class RedisSender:
    """One connection to Redis. What Redis promises of a command that returned is all there is."""

    def __init__(self, broker_url: str, tls: Mapping[str, Any] | None = None) -> None:
        self._kombu = Connection(
            broker_url,
            ssl=_tls(tls) if broker_url.startswith("rediss") else False,
            connect_timeout=_TIMEOUT_S,
            transport_options={"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S},
        )
        self._producer: Any = None
        self._declared: set[str] = set()
        self._outcomes: list[Outcome] = []

    @property
    def blocked(self) -> bool:
        """Return False: Redis never asks for a pause."""
        return False

    @property
    def idle_s(self) -> float:
        """Return infinity: there is no heartbeat to keep."""
        return float("inf")

    def open(self) -> None:
        """Connect and declare the queue of dead letters and that of messages for no channel."""
        with self._translated("cannot connect"):
            self._kombu.connect()
            channel = self._kombu.channel()
            for entity in (topology.EXCHANGE, topology.DEAD_QUEUE, topology.UNROUTED_QUEUE):
                entity(channel).declare()
            self._producer = Producer(channel, topology.EXCHANGE(channel), auto_declare=False)

    def send(self, lease: Lease) -> None:
        """Publish a lease. Its channel's queue is declared before the first one: Redis has no other catch."""
        with self._translated("cannot send"):
            if lease.channel not in self._declared:
                topology.channel_queue(lease.channel)(self._producer.channel).declare()
                self._declared.add(lease.channel)
            self._producer.publish(
                task_body(lease.channel, lease.encoded),
                routing_key=lease.channel,
                content_type="application/json",
                content_encoding="utf-8",
                delivery_mode=2,
                correlation_id=lease.task_id,
                headers=task_headers(lease.channel, lease.task_id, len(lease.encoded), lease.first_id),
            )
        self._outcomes.append(Outcome(lease, confirmed=True))

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Return at once with what was sent: there is nothing to wait for."""
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def close(self) -> None:
        """Disconnect."""
        with suppress(*self._kombu.connection_errors, *self._kombu.channel_errors):
            self._kombu.release()
        self._forget()

    def abandon(self) -> None:
        """Do nothing but forget: redis-py itself leaves a parent's connection alone in a child."""
        self._forget()

    def _forget(self) -> None:
        self._producer = None
        self._declared.clear()
        self._outcomes = []

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        try:
            yield
        except (*self._kombu.connection_errors, *self._kombu.channel_errors) as error:
            raise BrokerUnavailable(f"{what}: {error or type(error).__name__}") from error


def _tls(tls: Mapping[str, Any] | None) -> dict[str, Any]:
    # Left to itself kombu takes any certificate; what stands in the URL's query still comes first.
    options = {_TLS_NAMES[name]: path for name, path in (tls or {}).items()}
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True, **options}
