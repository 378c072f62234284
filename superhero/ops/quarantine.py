"""Look into the quarantine, send what is in it back to where it came from, or throw it away.

On RabbitMQ a look takes every letter out without acknowledging it and ends when all are back, mostly in
their order: two who look at the same time each see a part. On a Redis broker a look only reads. Either way a
letter is removed by itself, after what took its place is confirmed, so that a crash can leave it twice and
never nowhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

import redis
from kombu import Exchange, Queue
from kombu.transport.redis import Channel as RedisChannel

from superhero.config import without_password
from superhero.errors import ServiceError
from superhero.ops.depths import dead_letters, depth
from superhero.ops.reach import is_redis
from superhero.ops.waiting import wait_until
from superhero.transport.compression import readable
from superhero.transport.confirmed import ConfirmedSender, RawMessage
from superhero.transport.dead_letters import Letter, absolve
from superhero.transport.envelope import INGEST_TASK, channel_name
from superhero.transport.tls import advice, secure_connection
from superhero.transport.topology import (
    DEAD_NAME,
    DEAD_QUEUE,
    EXCHANGE,
    EXCHANGE_NAME,
    UNROUTED_QUEUE,
    channel_queue,
)

_TIMEOUT_S = 10.0
_BACK_S, _LOOK_EVERY_S = 1.0, 0.01
"""How long to wait for letters to be back in their queue at most, and how often to look."""
_PAGE = 100


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message in quarantine. `id` follows from its content: two equal letters have the same."""

    id: str
    letter: Letter
    message: RawMessage

    @property
    def body(self) -> bytes:
        """The message's body to read, uncompressed; `message.body` is as it travels."""
        return readable(self.message.body, self.message.headers)

    @property
    def record_ids(self) -> list[str]:
        """Ids of the records in it; empty where it is no batch of records."""
        if self.message.headers.get("task") != INGEST_TASK:
            return []
        with suppress(ValueError, TypeError, KeyError, IndexError, RecursionError):
            return [str(each["id"]) for each in json.loads(self.body)[0][1]]
        return []

    def age_s(self, now: datetime) -> float | None:
        """Return for how many seconds it has been here; None where nobody knows."""
        try:
            return (now - datetime.fromisoformat(self.letter.time)).total_seconds()
        except (ValueError, TypeError):
            return None


@dataclass(frozen=True, slots=True)
class Selection:
    """Which letters are meant; what is None selects nothing out. Ages in seconds."""

    id: str | None = None
    channel: str | None = None
    reason: str | None = None
    older_than_s: float | None = None
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def takes(self, dead: DeadLetter) -> bool:
        """Tell whether a letter is meant; one of unknown age is never old enough."""
        if self.id is not None and not dead.id.startswith(self.id):
            return False
        if self.channel is not None and dead.letter.channel != self.channel:
            return False
        if self.reason is not None and dead.letter.reason != self.reason:
            return False
        age_s = dead.age_s(self.now)
        return self.older_than_s is None or (age_s is not None and age_s >= self.older_than_s)


@dataclass(frozen=True, slots=True)
class Replay:
    """How many letters went back, and which stay because their channel has no valid name."""

    replayed: int
    kept: list[str]


@dataclass(frozen=True, slots=True)
class _Held:
    """A letter in hand, and how to remove exactly it."""

    dead: DeadLetter
    remove: Callable[[], None]


OnEach = Callable[[], None]


def _nothing() -> None:
    """Show nothing."""


def count(broker_url: str) -> int:
    """Return how many letters there are. Raise ServiceError when the broker does not answer."""
    with _translated(broker_url):
        return dead_letters(broker_url)


def look(broker_url: str, selection: Selection) -> Iterator[DeadLetter]:
    """Yield the letters meant, as the broker hands them out: mostly oldest first.

    Raise ServiceError when the broker does not answer.
    """
    with _opened(broker_url) as held:
        for each in held:
            if selection.takes(each.dead):
                yield each.dead


def replay(broker_url: str, selection: Selection, on_each: OnEach = _nothing) -> Replay:
    """Send the letters meant back to their channels as they once came, and remove each once it is confirmed.

    `on_each` is called for each letter that was looked at. Interrupted, it can be repeated: what went back
    twice is written once.
    """
    replayed, kept = 0, []
    with _opened(broker_url) as held, ConfirmedSender(broker_url) as sender:
        for each in held:
            on_each()
            if not selection.takes(each.dead):
                continue
            channel = each.dead.letter.channel
            if channel_name(channel) != channel:
                kept.append(each.dead.id)
                continue
            declare: list[Exchange | Queue] = [EXCHANGE, UNROUTED_QUEUE]
            if is_redis(broker_url):  # it has no alternate exchange: without a queue the message were gone
                declare.append(channel_queue(channel))
            sender.send(absolve(each.dead.message), EXCHANGE_NAME, channel, declare=declare)
            each.remove()
            replayed += 1
    return Replay(replayed, kept)


def purge(broker_url: str, selection: Selection, on_each: OnEach = _nothing) -> int:
    """Throw the letters meant away, and return how many there were."""
    removed = 0
    with _opened(broker_url) as held:
        for each in held:
            on_each()
            if selection.takes(each.dead):
                each.remove()
                removed += 1
    return removed


@contextmanager
def _opened(broker_url: str) -> Iterator[Iterator[_Held]]:
    opened = _on_redis if is_redis(broker_url) else _on_rabbitmq
    with _translated(broker_url), opened(broker_url) as held:
        yield held


@contextmanager
def _translated(broker_url: str) -> Iterator[None]:
    errors = secure_connection(broker_url)
    try:
        yield
    except (*errors.connection_errors, *errors.channel_errors, redis.RedisError) as error:
        raise ServiceError(f"the quarantine at {without_password(broker_url)}: {advice(error)}") from error


@contextmanager
def _on_rabbitmq(broker_url: str) -> Iterator[Iterator[_Held]]:
    options = {"read_timeout": _TIMEOUT_S, "write_timeout": _TIMEOUT_S}
    connection = secure_connection(broker_url, connect_timeout=_TIMEOUT_S, transport_options=options)
    # Whatever is not acknowledged when the channel closes goes back to its place.
    with connection, connection.channel() as channel:
        DEAD_QUEUE(channel).declare()
        count = depth(connection, DEAD_NAME)
        removed: list[int] = []
        yield _taken(channel, count, removed)
        # Whoever looks next shall not come before the letters are back.
        channel.basic_recover(requeue=True)
        wait_until(lambda: depth(connection, DEAD_NAME) >= count - len(removed), _BACK_S, _LOOK_EVERY_S)


def _taken(channel: Any, count: int, removed: list[int]) -> Iterator[_Held]:
    def remove(tag: int) -> None:
        channel.basic_ack(tag)
        removed.append(tag)

    for _ in range(count):
        message = channel.basic_get(DEAD_NAME)
        if message is None:
            return
        dead = _dead_letter(RawMessage.of_amqp(message), message.delivery_info["routing_key"])
        yield _Held(dead, partial(remove, message.delivery_tag))


@contextmanager
def _on_redis(broker_url: str) -> Iterator[Iterator[_Held]]:
    with redis.Redis.from_url(
        broker_url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S
    ) as client:
        yield _read(client)


def _read(client: Any) -> Iterator[_Held]:
    for step in RedisChannel.priority_steps:
        yield from _read_list(client, f"{DEAD_NAME}{RedisChannel.sep}{step}" if step else DEAD_NAME)


def _read_list(client: Any, key: str) -> Iterator[_Held]:
    # The oldest is at the right end. Counted from there, what arrives moves nothing and what we remove does.
    passed = 0
    removed: list[bytes] = []

    def remove(item: bytes) -> None:
        client.lrem(key, -1, item)  # -1: one, and the oldest of equal ones
        removed.append(item)

    # As many as there are now: what is replayed may be back, at the other end, before the look is over.
    left = client.llen(key)
    while left > 0 and (page := client.lrange(key, -passed - min(left, _PAGE), -passed - 1)):
        removed.clear()
        for item in reversed(page):
            yield _Held(_from_json(item), partial(remove, item))
        passed += len(page) - len(removed)
        left -= len(page)


def _from_json(item: bytes) -> DeadLetter:
    """Read a message in kombu's layout; one that somebody put there by hand is shown as it is."""
    try:
        fields = json.loads(item)
        properties = dict(fields["properties"])
        body = fields["body"]
        delivery, encoding = properties.pop("delivery_info", {}), properties.pop("body_encoding", None)
        properties.pop("delivery_tag", None)
        properties.pop("delivery_mode", None)
        message = RawMessage(
            body=base64.b64decode(body) if encoding == "base64" else str(body).encode("utf-8", "replace"),
            content_type=fields.get("content-type"),
            content_encoding=fields.get("content-encoding"),
            headers=fields.get("headers") or {},
            priority=properties.pop("priority", None),
            properties=properties,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return _dead_letter(RawMessage(item, content_type=None, content_encoding=None), "")
    return _dead_letter(message, str(delivery.get("routing_key", "")))


def _dead_letter(message: RawMessage, routing_key: str) -> DeadLetter:
    letter = Letter.of(message.headers, routing_key)
    content = "\0".join((letter.channel, letter.reason, letter.error, letter.time)).encode("utf-8", "replace")
    return DeadLetter(hashlib.sha256(content + b"\0" + message.body).hexdigest()[:12], letter, message)
