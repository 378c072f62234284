"""WIRE: the envelope a log record travels in, and the Celery task that carries a batch of them.

Encoded, an envelope is one JSON object; golden samples stand under tests/contract/golden. A task message is
`superhero.ingest(channel, [envelope, ...])` in Celery's protocol 2, all of one channel, in the order in which
they were logged. An envelope may have further fields, which are passed over here; so far `traceparent`, the
last one, of a record that was logged in a span (tracing.py).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

VERSION = 1
INGEST_TASK = "superhero.ingest"

_BEFORE_ID = f'{{"v":{VERSION},"id":"'
_BEFORE_CHANNEL = b'","channel":"'
_NOT_IN_A_CHANNEL = re.compile(r"[^A-Za-z0-9_.-]")
_RECORD_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}:(0|[1-9][0-9]{0,18})")
_CHANNEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}")
_BODY_BEGIN = re.compile(rb'\[\["([A-Za-z0-9_][A-Za-z0-9_.-]{0,119})",')
_BODY_END = b'],{},{"callbacks":null,"errbacks":null,"chain":null,"chord":null}]'
_ZERO_PER_DIGIT = bytes(ord("0") if byte in b"0123456789" else ord(" ") for byte in range(256))
# From 19 digits on a whole number may need more than 64 bits, and orjson would make a float of it.
_MANY_DIGITS = b"0" * 19
# What orjson would write in a way of its own is handed to `as_json_knows`: both encoders write the same.
ORJSON_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME


class EnvelopeError(ValueError):
    """Something that should be an envelope is not; the text says what is wrong with which field."""


class Envelope(NamedTuple):
    """One log record on its way; a named tuple, which is made four times as fast as a dataclass.

    id       `<producer>:<sequence>`; a producer is one process's one channel, and its sequence counts from 0
             without a gap, so that a missing or doubled record can be told from the sink alone
    channel  the logger's dotted name, or what the record says; also the routing key and the queue
    time     when it was logged: ISO 8601 in UTC with microseconds, "2026-01-31T12:00:00.000000Z"
    level    "INFO", ...
    logger   the logger's name as it was
    event    name of the typed event, or None for a plain record
    message  the text, for people
    payload  the typed event's fields, or what `extra={"payload": ...}` gave, or None
    """

    id: str
    channel: str
    time: str
    level: str
    logger: str
    event: str | None
    message: str
    payload: Mapping[str, Any] | None

    @property
    def producer(self) -> str:
        """The part of the id before the colon."""
        return self.id.rpartition(":")[0]

    @property
    def sequence(self) -> int:
        """The part of the id after the colon."""
        return int(self.id.rpartition(":")[2])


def channel_name(logger_name: str) -> str:
    """Return a channel that is safe as routing key, queue and file name: others become `_`, cut at 120."""
    cleaned = _NOT_IN_A_CHANNEL.sub("_", logger_name)[:120]
    return cleaned if cleaned and cleaned[0] not in ".-" else f"_{cleaned[1:]}"


def encode(envelope: Envelope) -> bytes:
    """Return the envelope as UTF-8 JSON. Values JSON does not know are sent as their `str`."""
    return with_id(
        envelope.id,
        encode_fields(
            {
                "channel": envelope.channel,
                "time": envelope.time,
                "level": envelope.level,
                "logger": envelope.logger,
                "event": envelope.event,
                "message": envelope.message,
                "payload": envelope.payload,
            }
        ),
    )


def encode_fields(fields: dict[str, Any]) -> bytes:
    """Return an envelope's fields, all but version and id and in the order of `Envelope`, as UTF-8 JSON.

    Raise TypeError, ValueError or RecursionError for a payload that JSON cannot hold: one that contains
    itself, is nested too deep, or has keys that are not text.
    """
    try:
        return orjson.dumps(fields, as_json_knows, ORJSON_OPTIONS)
    except TypeError:
        # Whole numbers beyond 64 bits, numbers as keys, and lone surrogates, which are legal in a Python str
        # and not in UTF-8: those are replaced rather than lost.
        return _encode_json(fields).encode("utf-8", "replace")


def with_id(record_id: str, fields: bytes) -> bytes:
    """Return the whole encoded envelope, made of its id and what `encode_fields` returned."""
    return f'{_BEFORE_ID}{record_id}",'.encode("ascii") + fields[1:]


def numbered(producer: str) -> bytes:
    """Return a template, made once per producer: `numbered(p) % (7, fields[1:])` is `with_id("p:7", fields)`.

    So that a logging call needs no other call to number its record.
    """
    before = f"{_BEFORE_ID}{producer}:".encode("ascii").replace(b"%", b"%%")
    return before + b'%d",%b'


def by_channel(records: Sequence[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield (channel, record ids) for each stretch of envelopes of one channel.

    They are not parsed; `with_id` and `numbered` made them.
    """
    channel, of_channel, begin = "", b"\0", len(_BEFORE_ID)  # \0: as no channel
    ids: list[bytes] = []
    for encoded in records:
        end = encoded.index(b'"', begin)
        if not encoded.startswith(of_channel, end):  # mostly it is the channel of the record before
            if ids:
                yield channel, ids
                ids = []
            start = end + len(_BEFORE_CHANNEL)
            stop = encoded.index(b'"', start)
            channel, of_channel = encoded[start:stop].decode("ascii"), encoded[end : stop + 1]
        ids.append(encoded[begin:end])
    if ids:
        yield channel, ids


def is_record_id(text: object) -> bool:
    """Return whether `text` can be a record's id."""
    return isinstance(text, str) and _RECORD_ID.fullmatch(text) is not None


def is_channel(text: object) -> bool:
    """Return whether `text` can be a channel's name."""
    return isinstance(text, str) and _CHANNEL.fullmatch(text) is not None


# A worker asks for each record, and meets a handful of channels.
_is_known_channel = lru_cache(maxsize=1024)(is_channel)


_values = itemgetter("v", *Envelope._fields)
_ABSENT = dict.fromkeys(("v", *Envelope._fields))


def _is_mapping(value: object) -> bool:
    return type(value) is dict or isinstance(value, Mapping)  # the first is five times as fast


def as_json_knows(value: object) -> Any:
    """Return what stands for a value that JSON does not know."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    return value.value if isinstance(value, Enum) else str(value)


_encode_json = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), default=as_json_knows, allow_nan=False
).encode


def decode(fields: Any) -> Envelope:
    """Return the envelope that parsed JSON holds; raise EnvelopeError for whatever is not one."""
    if not _is_mapping(fields):
        raise EnvelopeError(f"an envelope is a JSON object, not {type(fields).__name__}")
    # Asked for each record: all fields by one call, and exact types, which is what a parser gives.
    try:
        values = _values(fields)
    except KeyError:
        values = _values({**_ABSENT, **fields})
    version, record_id, channel, time, level, logger, event, message, payload = values
    if (
        version == VERSION
        and type(record_id) is str
        and _RECORD_ID.fullmatch(record_id)
        and type(channel) is str
        and _is_known_channel(channel)
        and type(time) is type(level) is type(logger) is type(message) is str
        and (event is None or type(event) is str)
        and (payload is None or _is_mapping(payload))
    ):
        return Envelope._make(values[1:])
    raise EnvelopeError(_what_is_wrong(fields))


def _what_is_wrong(fields: Mapping[str, Any]) -> str:
    if fields.get("v") != VERSION:
        return f"envelope version {fields.get('v')!r:.50} is not {VERSION}"
    for name, is_one, pattern in (("id", is_record_id, _RECORD_ID), ("channel", is_channel, _CHANNEL)):
        if not is_one(fields.get(name)):
            return f"{name} {fields.get(name)!r:.100} does not match {pattern.pattern}"
    for name in ("time", "level", "logger", "message"):
        if not isinstance(fields.get(name), str):
            return f"{name} must be text, not {fields.get(name)!r:.50}"
    if not isinstance(fields.get("event"), str | None):
        return f"event must be text or null, not {fields.get('event')!r:.50}"
    return f"payload must be an object or null, not {fields.get('payload')!r:.50}"


def task_body(channel: str, encoded: Sequence[bytes]) -> bytes:
    """Return the body of an ingest task (args, kwargs, embed) around envelopes that are encoded already."""
    begin, end = b'[["%b",[' % channel.encode("ascii"), b"]" + _BODY_END
    if not encoded:
        return begin + end
    # Around the first and the last of them before all are joined: a body is large, and copied once.
    first, *others = encoded
    parts = [begin + first, *others]
    parts[-1] += end
    return b",".join(parts)


def envelopes_in(body: object) -> tuple[str, bytes] | None:
    """Return (channel, envelopes as JSON) of a body as `task_body` makes it, unparsed; None for any other.

    Looks at beginning and end alone: what `parse` makes of what is in between may still be anything. A body
    may be text: py-amqp decodes where it can.
    """
    encoded = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
    if not isinstance(encoded, bytes) or not encoded.endswith(_BODY_END):
        return None
    begin = _BODY_BEGIN.match(encoded)
    return begin and (begin[1].decode("ascii"), encoded[begin.end() : -len(_BODY_END)])


def channel_in(beginning: bytes) -> str | None:
    """Return the channel of a body that begins as `task_body` makes it; None of any other."""
    begin = _BODY_BEGIN.match(beginning)
    return begin and begin[1].decode("ascii")


def parse(envelopes: bytes) -> Any:
    """Return what JSON text holds, without a loss. Raise ValueError if it is none."""
    # Several times as fast as json, but it makes floats of large whole numbers and knows no lone surrogates.
    if _MANY_DIGITS not in envelopes.translate(_ZERO_PER_DIGIT):
        with suppress(ValueError):
            return orjson.loads(envelopes)
    return json.loads(envelopes)


def task_headers(channel: str, task_id: str, size: int, first_id: str) -> dict[str, Any]:
    """Return the headers of an ingest task in Celery's protocol 2; they name no credential or content."""
    return {
        "lang": "py",
        "task": INGEST_TASK,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "shadow": None,
        "eta": None,
        "expires": None,
        "retries": 0,
        "timelimit": [None, None],
        "argsrepr": f"({channel!r}, {size} from {first_id})",
        "kwargsrepr": "{}",
        "origin": "superhero",
        "ignore_result": True,
    }
