"""How much one client may ask of a server process: connections, requests a second, users created.

A client is known by its address, an IPv6 one by its /64, which is what one customer has. Behind a proxy all
would be the proxy; where the proxy is one we trust, the address that it names counts.

The limits are each process's own: several servers behind one address allow as many times as much. Belongs to
one event loop; what is kept is bounded by the addresses that are connected, and those that were within the
last minutes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network

_IPV6_CUSTOMER_BITS = 64
_HOUR_S = 3600.0
_FORGET_EVERY = 1024  # connections


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed. Requests are per second, and as many may come at once; new users are per hour."""

    connections: int = 20_000
    connections_per_address: int = 10_000
    requests_per_connection: int = 2_000
    requests_per_address: int = 20_000
    new_users_per_address: int = 100_000
    trusted_proxies: tuple[Network, ...] = ()


class Bucket:
    """A token bucket: `size` at once, and as many again in every `refill_s` seconds."""

    __slots__ = ("_at", "_left", "_rate", "_size")

    def __init__(self, size: int, refill_s: float, now: float) -> None:
        self._size = float(size)
        self._rate = size / refill_s
        self._left = self._size
        self._at = now

    def take(self, now: float) -> float:
        """Take one, and return 0; where there is none, take none and return in how many seconds there is."""
        self._left = min(self._size, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0

    def full(self, now: float) -> bool:
        """Whether nothing is missing, so that a new one would be the same."""
        return self._left + (now - self._at) * self._rate >= self._size


@dataclass(slots=True)
class _Address:
    requests: Bucket
    new_users: Bucket
    connections: int = 0


class Client:
    """One connection's share of what is allowed, and its address's."""

    __slots__ = ("_address", "_clock", "_refused", "_requests")

    def __init__(
        self, address: _Address, requests: Bucket, clock: Callable[[], float], refused: Counter[str]
    ) -> None:
        self._address = address
        self._requests = requests
        self._clock = clock
        self._refused = refused

    def wait_s(self) -> float:
        """Count a request; return 0 if it is allowed, else in how many seconds one would be."""
        now = self._clock()
        wait_s = self._requests.take(now) or self._address.requests.take(now)
        self._refused["requests"] += wait_s > 0
        return wait_s

    def may_create_user(self) -> bool:
        """Count a user that is to be created; whether that is allowed."""
        allowed = self._address.new_users.take(self._clock()) == 0
        self._refused["new_users"] += not allowed
        return allowed


@dataclass(slots=True)
class Gate:
    """Counts the connections of a server and says who may come in.

    connections  those that are open, let in or not
    refused      how often connections, requests and new users were
    """

    limits: Limits
    clock: Callable[[], float]
    connections: int = 0
    refused: Counter[str] = field(
        default_factory=lambda: Counter(secrets=0, connections=0, requests=0, new_users=0)
    )
    _addresses: dict[str, _Address] = field(default_factory=dict)
    _until_forgetting: int = _FORGET_EVERY

    def admit(self, address: str) -> Client | None:
        """Let a connection from an address in; None when there are too many. Give it back by `leave`."""
        now = self.clock()
        known = self._addresses.get(address)
        if known is None:
            self._forget_some(now)
            known = self._addresses[address] = self._new(now)
        if (
            self.connections > self.limits.connections
            or known.connections >= self.limits.connections_per_address
        ):
            self.refused["connections"] += 1
            return None
        known.connections += 1
        requests = Bucket(self.limits.requests_per_connection, 1.0, now)
        return Client(known, requests, self.clock, self.refused)

    def leave(self, address: str) -> None:
        """Take note that an admitted connection is gone."""
        self._addresses[address].connections -= 1

    def _new(self, now: float) -> _Address:
        return _Address(
            Bucket(self.limits.requests_per_address, 1.0, now),
            Bucket(self.limits.new_users_per_address, _HOUR_S, now),
        )

    def _forget_some(self, now: float) -> None:
        """Forget, now and then, addresses that nothing would tell from new ones."""
        self._until_forgetting -= 1
        if self._until_forgetting > 0:
            return
        self._addresses = {
            address: known
            for address, known in self._addresses.items()
            if known.connections or not (known.requests.full(now) and known.new_users.full(now))
        }
        self._until_forgetting = max(_FORGET_EVERY, len(self._addresses))


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the address that a client is known by.

    `forwarded` are the values of X-Forwarded-For. Each proxy adds whom it heard from at the right end, so
    what stands left of the first that is no proxy of ours, anybody may have written.
    """
    address = _parsed(peer)
    hops = [hop.strip() for value in forwarded for hop in value.split(",")]
    while address is not None and hops and any(address in network for network in trusted):
        named = _parsed(hops.pop())
        if named is None:
            break
        address = named
    if address is None:
        return peer
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _IPV6_CUSTOMER_BITS), strict=False))
    return str(address)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
