"""kombu's channel to a Redis broker, but for items that are no messages: they go to quarantine as they are.

kombu has taken an item off its list before it looks at it. One that it cannot read, because somebody put it
there by hand, would be gone and end the worker, or make it connect anew.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from queue import Empty
from typing import Any

from kombu.transport.redis import Channel
from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import loads

from superhero.errors import BrokerUnavailable
from superhero.transport.confirmed import RawMessage
from superhero.transport.dead_letters import Reason, sentence
from tasks import quarantine

log = logging.getLogger(__name__)


class CarefulChannel(Channel):
    """Looks at what it read before it delivers it."""

    def _brpop_read(self, **options: Any) -> bool:
        """Read one item and deliver it; the steps are those of kombu 5.7."""
        try:
            try:
                answer = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                self.client.connection.disconnect()
                raise
            if not answer:
                raise Empty()
            key, item = answer
            queue = bytes_to_str(key).rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(queue)
            try:
                message = parse(item)
            except (ValueError, RecursionError) as error:
                self._set_aside(queue, key, item, error)
            else:
                self.connection._deliver(message, queue)
            return True
        finally:
            self._in_poll = None  # type: ignore[assignment]  # as in kombu
            self._flush_brpop_reauth()  # type: ignore[no-untyped-call]

    def _set_aside(self, queue: str, key: bytes, item: bytes, error: Exception) -> None:
        letter = RawMessage(bytes(item), content_type=None, content_encoding=None)
        try:
            quarantine.put(letter, queue, Reason.UNDECODABLE, sentence(error))
        except BrokerUnavailable as failure:
            log.error("an item of queue %s goes back, for it cannot go to quarantine: %s", queue, failure)
            with self.conn_or_acquire() as client:
                client.lpush(key, item)


def parse(item: bytes) -> dict[str, Any]:
    """Return the message in an item of a list; raise ValueError for what kombu could not make one of."""
    message = loads(bytes_to_str(item))
    if not isinstance(message, dict):
        raise ValueError("a message is an object")
    properties = message.get("properties")
    if not isinstance(properties, dict) or not isinstance(properties.get("delivery_tag"), str):
        raise ValueError("a message has properties with a delivery tag")
    delivery = properties.get("delivery_info")
    if not isinstance(delivery, dict) or not (
        _is_text(delivery, "exchange") and _is_text(delivery, "routing_key")
    ):
        raise ValueError("a message says where it was published to")
    if not isinstance(message.get("headers"), dict | None):
        raise ValueError("headers are an object")
    body = message.get("body")
    if not isinstance(body, str | None):
        raise ValueError("a body is text")
    if body and properties.get("body_encoding") not in (None, "utf-8"):
        if properties["body_encoding"] != "base64":
            raise ValueError("a body is in base64 or as it is")
        base64.b64decode(body.encode("ascii"), validate=True)
    return message


def _is_text(fields: Mapping[str, Any], name: str) -> bool:
    return isinstance(fields.get(name), str)
