"""Send leases to RabbitMQ with publisher confirms, many in flight at a time.

Drives py-amqp's channel directly: kombu and Celery wait for each confirm before the next message.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import amqp
from amqp.exceptions import PreconditionFailed

from superhero.errors import BrokerUnavailable, TopologyMismatch
from superhero.transport import topology
from superhero.transport.leases import Lease
from superhero.transport.sender import Outcome, body_and_headers
from superhero.transport.tls import advice, connect, secure_connection

_HEARTBEAT_S = 10
_CONNECT_TIMEOUT_S = 5
_STALL_S = 20
"""Seconds after which a read that must be answered, or a write that does not get through, is given up."""
_ONE_SECOND = struct.pack("ll", 1, 0)
_ERRORS = (*amqp.Connection.connection_errors, *amqp.Connection.channel_errors)


class AmqpSender:
    """One AMQP connection and channel. Publishes persistent and mandatory messages to `superhero`."""

    def __init__(
        self, broker_url: str, tls: Mapping[str, Any] | None = None, *, compress: bool = True
    ) -> None:
        self._compress = compress
        self._kombu = secure_connection(
            broker_url,
            tls,
            heartbeat=_HEARTBEAT_S,
            connect_timeout=_CONNECT_TIMEOUT_S,
            transport_options={
                "on_blocked": self._on_blocked,
                "on_unblocked": self._on_unblocked,
                "read_timeout": _STALL_S,
                "write_timeout": _STALL_S,
                "client_properties": {"connection_name": f"superhero transport of process {os.getpid()}"},
                "socket_settings": _socket_settings(),
            },
        )
        self._amqp: Any = None
        self._channel: Any = None
        self._declared: set[str] = set()
        self._tag = 0
        self._unconfirmed: dict[int, Lease] = {}
        self._returned: dict[str, str] = {}
        self._outcomes: list[Outcome] = []
        self._blocked = False

    @property
    def blocked(self) -> bool:
        """Whether the broker said that it has a memory or disk alarm."""
        return self._blocked

    @property
    def idle_s(self) -> float:
        """How many seconds the connection may go without a heartbeat of ours."""
        return _HEARTBEAT_S / 4

    def open(self) -> None:
        """Connect, declare the exchanges and the two common queues, and switch confirms on."""
        self._forget()
        with _translated("cannot connect"):
            self._amqp = connect(self._kombu)
            for entity in (
                topology.UNROUTED_EXCHANGE,
                topology.EXCHANGE,
                topology.DEAD_QUEUE,
                topology.UNROUTED_QUEUE,
            ):
                self._declare(entity)
            self._channel = self._amqp.channel()
            self._channel.confirm_select()
            self._channel.events["basic_ack"].add(self._on_ack)
            self._channel.events["basic_nack"].add(self._on_nack)
            self._channel.events["basic_return"].add(self._on_return)

    def send(self, lease: Lease) -> None:
        """Publish a lease. Its channel's queue is declared before the first one."""
        with _translated("cannot send"):
            if lease.channel not in self._declared:
                self._declare(topology.channel_queue(lease.channel))
                self._declared.add(lease.channel)
            self._tag += 1
            self._unconfirmed[self._tag] = lease
            self._channel.basic_publish(
                _message(lease, compress=self._compress),
                exchange=topology.EXCHANGE_NAME,
                routing_key=lease.channel,
                mandatory=True,
                timeout=_STALL_S,
            )

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Read what the broker says, for `timeout_s` at most; the first frame that matters ends the wait."""
        with _translated("lost the connection"):
            try:
                if not self._outcomes:
                    self._amqp.drain_events(timeout=timeout_s)
                while True:  # the rest of what is here already
                    self._amqp.drain_events(timeout=0)
            except TimeoutError:
                self._amqp.heartbeat_tick()
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def close(self) -> None:
        """Say goodbye where that is possible within a second, and disconnect."""
        with suppress(*_ERRORS, AttributeError):
            if self._amqp is not None and self._amqp.connected:
                self._amqp.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _ONE_SECOND)
                self._amqp.close()
        self._kombu.collect()
        self._forget()

    def abandon(self) -> None:
        """Close the descriptor alone; py-amqp's own close would shut the parent's connection down."""
        transport: Any = getattr(self._amqp, "_transport", None)
        self._amqp = None
        if transport is not None and transport.sock is not None:
            with suppress(OSError):  # closed by the parent just then
                os.close(transport.sock.detach())
            transport.sock = None

    def _forget(self) -> None:
        self._amqp = self._channel = None
        self._declared.clear()
        self._tag = 0
        self._unconfirmed.clear()
        self._returned.clear()
        self._outcomes = []
        self._blocked = False

    def _declare(self, entity: Any) -> None:
        # On a channel of its own: a refusal closes the channel, and with it what is in flight there.
        with self._amqp.channel() as channel:
            try:
                entity(channel).declare()
            except PreconditionFailed as error:
                raise TopologyMismatch(
                    f"{entity.name!r} stands on the broker with other arguments than ours ({error}); delete "
                    "it there, or use another vhost"
                ) from error

    def _on_ack(self, tag: int, multiple: bool) -> None:
        for lease in self._take(tag, multiple):
            reason = self._returned.pop(lease.task_id, None)
            self._outcomes.append(Outcome(lease, reason is None, reason or ""))

    def _on_nack(self, tag: int, multiple: bool) -> None:
        for lease in self._take(tag, multiple):
            self._returned.pop(lease.task_id, None)
            self._outcomes.append(Outcome(lease, False, "the broker refused it"))

    def _on_return(self, error: Exception, exchange: str, routing_key: str, message: Any) -> None:
        """Note that a message went to no queue; its ack comes next."""
        self._returned[message.properties["correlation_id"]] = f"it went to no queue: {error}"
        self._declared.discard(routing_key)

    def _on_blocked(self, reason: str) -> None:
        self._blocked = True

    def _on_unblocked(self) -> None:
        self._blocked = False

    def _take(self, tag: int, multiple: bool) -> list[Lease]:
        if not multiple:
            lease = self._unconfirmed.pop(tag, None)
            return [] if lease is None else [lease]
        tags = [sent for sent in self._unconfirmed if sent <= tag]
        return [self._unconfirmed.pop(sent) for sent in tags]


@contextmanager
def _translated(what: str) -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise BrokerUnavailable(f"{what}: {advice(error)}") from error


def _message(lease: Lease, *, compress: bool) -> amqp.Message:
    body, headers = body_and_headers(lease, compress=compress)
    return amqp.Message(
        body,
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode=2,
        correlation_id=lease.task_id,
        application_headers=headers,
    )


def _socket_settings() -> dict[int, int]:
    # py-amqp gives a peer one second to acknowledge a packet, which a slow link does not always keep.
    return {socket.TCP_USER_TIMEOUT: _STALL_S * 1000} if hasattr(socket, "TCP_USER_TIMEOUT") else {}
