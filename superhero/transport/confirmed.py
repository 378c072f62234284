"""Send a message byte for byte, and return only once the broker has it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import amqp
from kombu import Exchange, Queue
from kombu.exceptions import KombuError
from kombu.message import Message

from superhero.errors import BrokerUnavailable
from superhero.transport.tls import secure_connection

_TIMEOUT_S = 10.0
_PERSISTENT = 2
# What a broker or kombu gives anew with every delivery, or what has a place of its own below.
_NOT_KEPT = frozenset(
    {
        "application_headers",
        "body_encoding",
        "content_encoding",
        "content_type",
        "delivery_info",
        "delivery_mode",
        "delivery_tag",
        "expiration",
        "priority",
    }
)


@dataclass(frozen=True, slots=True)
class RawMessage:
    """A message as it lies on the broker. None where a property is not there.

    `properties` are the others (correlation_id, reply_to, ...); a message is sent persistent and without an
    expiry, whatever it was.
    """

    body: bytes
    content_type: str | None = "application/json"
    content_encoding: str | None = "utf-8"
    headers: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    priority: int | None = None

    @classmethod
    def of_amqp(cls, message: amqp.Message) -> Self:
        """Take a message that py-amqp received; kombu's would try to decompress it."""
        properties = message.properties
        return cls(
            body=_bytes(message.body),
            content_type=properties.get("content_type"),
            content_encoding=properties.get("content_encoding"),
            headers=properties.get("application_headers") or {},
            properties={name: value for name, value in properties.items() if name not in _NOT_KEPT},
            priority=properties.get("priority"),
        )

    @classmethod
    def of(cls, message: Message) -> Self:
        """Take a message that kombu received; a worker's are compressed as they came."""
        return cls(
            body=_bytes(message.body),
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            headers=dict(message.headers),
            properties={name: value for name, value in message.properties.items() if name not in _NOT_KEPT},
            priority=message.properties.get("priority"),
        )


class ConfirmedSender:
    """Sends over a connection of its own, opened on first use and again after it broke.

    Safe from many threads, not across a fork. On RabbitMQ a send returns after the publisher confirm of a
    message that some queue took; on a Redis broker once Redis answered the push.
    """

    def __init__(self, broker_url: str, timeout_s: float = _TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._channel: Any = None
        self._declared: set[Exchange | Queue] = set()
        self._connection = secure_connection(
            broker_url, connect_timeout=timeout_s, transport_options=_transport_options(broker_url, timeout_s)
        )

    def send(
        self, message: RawMessage, exchange: str, routing_key: str, declare: Iterable[Exchange | Queue] = ()
    ) -> None:
        """Send and wait for the confirm; `declare` is what must be there for the message to find a queue.

        Raise BrokerUnavailable when it is not known to be safe: it may stand on the broker all the same.
        """
        with self._lock:
            was_open = self._channel is not None
            try:
                self._send(message, exchange, routing_key, declare)
            except self._errors as error:
                self._close()
                if not was_open:
                    raise _unavailable(exchange, routing_key, error) from error
            else:
                return
            # A connection that lay idle may be dead without our knowing: once more on a new one.
            try:
                self._send(message, exchange, routing_key, declare)
            except self._errors as error:
                self._close()
                raise _unavailable(exchange, routing_key, error) from error

    def close(self) -> None:
        """Close the connection; everything sent is confirmed."""
        with self._lock:
            self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _errors(self) -> tuple[type[Exception], ...]:
        # MessageNacked, which is no AMQPError: the queue is full, or has no leader.
        own = (OSError, amqp.AMQPError, amqp.exceptions.MessageNacked, KombuError)
        return (*own, *self._connection.connection_errors, *self._connection.channel_errors)

    def _send(
        self, message: RawMessage, exchange: str, routing_key: str, declare: Iterable[Exchange | Queue]
    ) -> None:
        if self._channel is None:
            self._channel = self._connection.channel()
        for entity in declare:
            if entity not in self._declared:
                entity(self._channel).declare()
                self._declared.add(entity)
        prepared = self._channel.prepare_message(
            message.body,
            priority=message.priority,
            content_type=message.content_type,
            content_encoding=message.content_encoding,
            headers=dict(message.headers),
            properties={**message.properties, "delivery_mode": _PERSISTENT},
        )
        self._channel.basic_publish(
            prepared,
            exchange=exchange,
            routing_key=routing_key,
            mandatory=True,
            confirm_timeout=self._timeout_s,
        )

    def _close(self) -> None:
        self._channel = None
        self._declared.clear()
        # What is broken may break once more on closing; nothing depends on it.
        with suppress(*self._errors):
            self._connection.close()
        self._connection = self._connection.clone()


def _bytes(body: object) -> bytes:
    if isinstance(body, str):
        return body.encode("utf-8", "surrogateescape")
    return bytes(body) if isinstance(body, bytes | bytearray | memoryview) else b""


def _transport_options(broker_url: str, timeout_s: float) -> dict[str, Any]:
    if urlsplit(broker_url).scheme.startswith("redis"):
        return {"socket_timeout": timeout_s, "socket_connect_timeout": timeout_s}
    return {"confirm_publish": True, "read_timeout": timeout_s, "write_timeout": timeout_s}


def _unavailable(exchange: str, routing_key: str, error: Exception) -> BrokerUnavailable:
    return BrokerUnavailable(
        f"the broker did not confirm a message to exchange {exchange!r} with key {routing_key!r:.150}: "
        f"{error!r:.300}"
    )
