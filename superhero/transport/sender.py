"""The seam between the publisher, which decides what goes when, and the wire to one kind of broker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

from superhero.errors import TransportError
from superhero.service_urls import check_url
from superhero.transport.compression import pack
from superhero.transport.envelope import task_body, task_headers
from superhero.transport.leases import Lease

REDIS_SCHEMES = ("redis", "rediss")
SCHEMES = ("amqp", "amqps", *REDIS_SCHEMES)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one lease: the broker has it, or refused it for `reason`."""

    lease: Lease
    confirmed: bool
    reason: str = ""


class Sender(Protocol):
    """One connection to a broker; used by one thread at a time.

    Every method but `close` and `abandon` raises BrokerUnavailable when the connection is of no more use;
    what was sent and has no outcome by then may or may not have arrived, and is sent again.
    """

    @property
    def blocked(self) -> bool:
        """Whether the broker asked to be sent nothing for the moment."""

    @property
    def idle_s(self) -> float:
        """How many seconds the connection may go without a call of `wait`."""

    def open(self) -> None:
        """Connect and declare what every channel needs. Raise TopologyMismatch if that stands otherwise."""

    def send(self, lease: Lease) -> None:
        """Hand a lease to the broker; its outcome comes from `wait`, in any order.

        Raise TopologyMismatch, and send nothing, if the channel's queue stands otherwise than ours.
        """

    def wait(self, timeout_s: float) -> Sequence[Outcome]:
        """Serve the connection until outcomes are there, or something else came, or time is up."""

    def close(self) -> None:
        """Disconnect; never raises. `open` may follow."""

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connection without a word to the broker."""


def body_and_headers(lease: Lease, *, compress: bool) -> tuple[bytes, dict[str, Any]]:
    """Return body and headers of the task that carries a lease: the same whenever it is sent."""
    body = task_body(lease.channel, lease.encoded)
    headers = {
        **task_headers(lease.channel, lease.task_id, len(lease.encoded), lease.first_id),
        **lease.headers,
    }
    return pack(body, headers) if compress else (body, headers)


def open_sender(broker_url: str, tls: Mapping[str, Any] | None = None, *, compress: bool = True) -> Sender:
    """Return the sender for a broker's URL, or for several URLs with `;` between; connects to nothing yet.

    Raise TransportError, which shows nothing of the URL, for one that cannot be used.
    `tls` has `ca_certs`, `certfile`, `keyfile`: paths of PEM files, for amqps:// and rediss://. With
    `compress`, tasks that are worth it travel compressed.
    """
    for url in broker_url.split(";"):
        # The URL is not shown: it may hold a password.
        try:
            check_url(url)
        except ValueError as error:
            raise TransportError(f"a broker_url cannot be used: {error}") from error
        if urlsplit(url).scheme not in SCHEMES:
            raise TransportError(
                f"a broker_url must begin with one of {', '.join(f'{scheme}://' for scheme in SCHEMES)}"
            )
    if urlsplit(broker_url).scheme in REDIS_SCHEMES:
        from superhero.transport.redis_sender import RedisSender

        return RedisSender(broker_url, tls, compress=compress)
    from superhero.transport.amqp_sender import AmqpSender

    return AmqpSender(broker_url, tls, compress=compress)
