"""Send leases to a Redis broker in kombu's layout: a command that returned is the confirm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from kombu import Producer

from superhero.errors import BrokerUnavailable
from superhero.transport import topology
from superhero.transport.leases import Lease
from superhero.transport.sender import Outcome, body_and_headers
from superhero.transport.tls import advice, secure_connection

_TIMEOUT_S = 5
_parents_pools: list[Any] = []
"""Kept in a forked child, so that no finalizer closes them."""


class RedisSender:
    """One connection to Redis. What Redis promises of a command that returned is all there is."""

    def __init__(
        self, broker_url: str, tls: Mapping[str, Any] | None = None, *, compress: bool = True
    ) -> None:
        self._compress = compress
        self._kombu = secure_connection(
            broker_url,
            tls,
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
            body, headers = body_and_headers(lease, compress=self._compress)
            self._producer.publish(
                body,
                routing_key=lease.channel,
                content_type="application/json",
                content_encoding="utf-8",
                delivery_mode=2,
                correlation_id=lease.task_id,
                headers=headers,
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
        """Take the parent's connection pools out of kombu's channels.

        In a child of multiprocessing kombu would disconnect them, and to do so wait for ever for a lock that
        the publisher's thread held when the process was forked.
        """
        transport: Any = self._kombu._transport
        for channel in () if transport is None else (*transport.channels, *transport._avail_channels):
            _parents_pools.append((channel._pool, channel._async_pool))
            channel._pool = channel._async_pool = None
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
            raise BrokerUnavailable(f"{what}: {advice(error)}") from error
