"""The body of an ingest task: the parent looks at its ends, the child at all of it.

Celery parses a body in the parent, sends what it made of it to the child, together with the text, and parses
that once more: most of what a batch costs. So of a body that looks like our publisher's the parent takes the
two ends for granted and hands on what is in between unparsed; the child parses it, once, with a fast parser.
Of a compressed one it looks at the beginning alone, and hands on all of it as it came: so much less for the
pipe between them, and to unpack it all would take half of the parent's time.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from celery.exceptions import InvalidTaskError
from kombu.exceptions import DecodeError
from kombu.message import Message
from kombu.serialization import loads

from superhero.transport.compression import (
    LARGEST_BYTES,
    beginning,
    decompress,
    is_compressed,
)
from superhero.transport.envelope import channel_in, channel_name, envelopes_in, parse

_BEGINNING_BYTES = 256
"""How much of a compressed body is looked at: more than the longest channel takes."""
_OTHERS_BYTES = 1024 * 1024
"""How large a compressed body may be that begins otherwise: the parent parses it, and all children wait."""


class Packed(bytes):
    """A whole compressed body, as it came, on its way to a child; other bytes are JSON."""


def unparsed(message: Message) -> Any:
    """Return a body as Celery would see it but for the envelopes, which are bytes still; None for others'.

    Raise DecodeError for a compressed one that begins otherwise than ours and cannot be read.
    """
    is_json = message.content_type == "application/json" and message.content_encoding == "utf-8"
    if is_compressed(message.headers):
        channel = _channel_of(message.body) if is_json else None
        return (
            parsed(message, _OTHERS_BYTES) if channel is None else [(channel, Packed(message.body)), {}, {}]
        )
    found = envelopes_in(message.body) if is_json else None
    return found and [found, {}, {}]


def parsed(message: Message, most_bytes: int = LARGEST_BYTES) -> Any:
    """Return all of a body as Celery would see it; a compressed one may hold `most_bytes` at most.

    Raise DecodeError, or whatever else a parser makes of bytes from outside.
    """
    body = message.body
    if is_compressed(message.headers):
        try:
            body = decompress(body, most_bytes)
        except ValueError as error:
            raise DecodeError(str(error)) from error
    return loads(body, message.content_type, message.content_encoding, accept=message.accept)


def _channel_of(body: bytes) -> str | None:
    with suppress(ValueError):  # whoever reads all of it will say so
        return channel_in(beginning(body, _BEGINNING_BYTES))
    return None


def list_of(envelopes: bytes) -> list[object]:
    """Return the list that JSON holds, or the one in a `Packed` body. Raise ValueError for anything else.

    InvalidTaskError where a packed body is JSON and no ingest task.
    """
    found = _list_in(decompress(envelopes)) if isinstance(envelopes, Packed) else parse(envelopes)
    if not isinstance(found, list):
        raise ValueError(f"the envelopes must be a list, not {type(found).__name__}")
    return found


def _list_in(body: bytes) -> object:
    found = envelopes_in(body)
    if found is not None:
        return parse(found[1])
    payload = parse(body)  # others' begin as ours do, and need not go on so
    check_payload(payload)
    return payload[0][1]


def check(task_id: object, payload: object) -> None:
    """Raise InvalidTaskError for a task that is none of ours: `payload` is its decoded body."""
    if not (isinstance(task_id, str) and task_id):
        raise InvalidTaskError(f"the task's id must be text, not {task_id!r:.100}")
    check_payload(payload)


def check_payload(payload: object) -> None:
    """Raise InvalidTaskError for what is no decoded body of an ingest task."""
    if not (isinstance(payload, list) and len(payload) == 3):
        raise InvalidTaskError("the body must be [arguments, keyword arguments, options]")
    args, kwargs, options = payload
    if kwargs != {} or not isinstance(args, list | tuple) or len(args) != 2:
        raise InvalidTaskError("the arguments must be a channel and a list of envelopes, by position")
    channel, envelopes = args
    if not (isinstance(channel, str) and channel_name(channel) == channel):
        raise InvalidTaskError(f"{channel!r:.100} is no channel")
    if not isinstance(envelopes, list | bytes):
        raise InvalidTaskError("the envelopes must be a list")
    if not isinstance(options, dict) or any(options.values()):
        raise InvalidTaskError("a record has no callbacks, chain or chord")
