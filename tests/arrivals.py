"""What arrived on a broker, read from a channel's queue by plain kombu."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kombu import Connection
from kombu.message import Message

from superhero.transport.topology import channel_queue


def messages(broker_url: str, channel: str) -> list[Message]:
    """Take every message out of a channel's queue; none when there is no such queue."""
    with Connection(broker_url) as connection:
        return list(_drain(connection, channel))


def records(broker_url: str, channel: str) -> list[dict[str, Any]]:
    """Take every message out of a channel's queue and return the records they carry."""
    return [record for message in messages(broker_url, channel) for record in message.payload[0][1]]


def ids(broker_url: str, channel: str) -> list[str]:
    """Take every message out of a channel's queue and return the ids of the records they carry."""
    return [record["id"] for record in records(broker_url, channel)]


def numbers(record_ids: list[str]) -> dict[str, list[int]]:
    """Return the sequence numbers of record ids by producer, in the order given."""
    found: dict[str, list[int]] = {}
    for record_id in record_ids:
        producer, _, number = record_id.rpartition(":")
        found.setdefault(producer, []).append(int(number))
    return found


def _drain(connection: Connection, channel: str) -> Iterator[Message]:
    queue = channel_queue(channel)(connection.default_channel)
    while True:
        try:
            message = queue.get(no_ack=True, accept=["json"])
        except connection.channel_errors as error:
            if getattr(error, "reply_code", None) == 404:
                return
            raise
        if message is None:
            return
        yield message
