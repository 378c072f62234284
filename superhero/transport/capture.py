"""Take from a log record what travels, as it is at this moment, and encode it.

Whatever a record holds, something of it is sent: a payload that JSON cannot hold or that is too large goes
as its shortened `repr`, arguments that do not fit the text stand beside it.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from reprlib import Repr
from typing import Any

from orjson import dumps

from superhero.transport import tracing
from superhero.transport.envelope import (
    ORJSON_OPTIONS,
    as_json_knows,
    channel_name,
    encode_fields,
    is_record_id,
)

_OWN_LOGGERS = frozenset({"amqp", "billiard", "celery", "kombu", "redis", "vine"})
_OWN_LOGGER = "superhero.transport"
_MOST_CHANNELS = 10_000
_MOST_TEXT = 8192
_MICROS = [f"{number:03d}Z" for number in range(1000)]
"""How a time ends whose milliseconds are known: looked up, it costs less than formatting three digits."""
_modules = sys.modules
_exceptions = logging.Formatter()
_short = Repr()
_short.maxlevel, _short.maxdict, _short.maxstring, _short.maxother = 4, 20, 200, 200

Captured = tuple[str, bytes, str | None]
"""Channel, the encoded fields of the envelope all but its id, and the id if the record brings a valid one."""


class Capture:
    """Encodes records; safe from many threads. `max_bytes` is how large an encoded record may be."""

    def __init__(self, max_bytes: int) -> None:
        self.cut = 0
        """How many records went with a stand-in for their payload."""
        self._max_bytes = max_bytes
        self._channels: dict[str, str | None] = {}
        # That of the record before: the second it is in; how many microseconds of that came before, less a
        # half, so that to cut off what is left is to round it; its text.
        self._millisecond = (0.0, -0.5, "1970-01-01T00:00:00.000")

    # A program that logs waits for this: no call in it that can be spared, and no text formatted twice.
    def take(self, record: logging.LogRecord, formatter: logging.Formatter | None = None) -> Captured | None:
        """Return what travels of a record; None when it is of the transport or a library it is built on."""
        extra, name = record.__dict__, record.name
        try:
            channel = self._channels[name]
        except KeyError:
            channel = self._remember(name)
        if channel is None:
            return None
        if "channel" in extra and (chosen := extra["channel"]) is not None:
            channel = channel_name(str(chosen))
        second, before, text = self._millisecond
        micros = (record.created - second) * 1e6 - before
        moment = text + _MICROS[int(micros)] if 0.0 <= micros < 1000.0 else self._moment(record.created)
        if formatter is None and not (record.exc_info or record.exc_text or record.stack_info):
            try:
                message = record.getMessage()
            except Exception as error:
                message = _not_fitting(record, error)
        else:
            message = _text(record, formatter)
        event, payload = extra.get("event"), extra.get("payload")
        fields: dict[str, Any] = {
            "channel": channel,
            "time": moment,
            "level": record.levelname,
            "logger": name,
            "event": event if event is None or type(event) is str else str(event),
            "message": message,
            "payload": payload if type(payload) is dict else _mapping(payload),
        }
        if tracing.SDK in _modules and (traceparent := tracing.current()) is not None:
            fields[tracing.FIELD] = traceparent
        try:
            encoded = dumps(fields, as_json_knows, ORJSON_OPTIONS)  # as `encode_fields` does first
        except Exception:
            encoded = self._encoded_anyhow(fields)
        if len(encoded) > self._max_bytes:
            encoded = self._without_payload(fields, f"larger than {self._max_bytes} bytes: {len(encoded)}")
        if "record_id" in extra and is_record_id(own_id := extra["record_id"]):
            return channel, encoded, own_id
        return channel, encoded, None

    def _remember(self, name: str) -> str | None:
        own = (
            name.partition(".")[0] in _OWN_LOGGERS
            or name == _OWN_LOGGER
            or name.startswith(f"{_OWN_LOGGER}.")
        )
        if len(self._channels) >= _MOST_CHANNELS:  # somebody makes up logger names
            self._channels.clear()
        channel = self._channels[name] = None if own else channel_name(name)
        return channel

    def _moment(self, created: float) -> str:
        """Format a time, and remember its millisecond for those that follow."""
        second, micros = divmod(round(created * 1e6), 1_000_000)
        millis, micros = divmod(micros, 1000)
        known, _, text = self._millisecond
        whole = text[:-3] if second == known else time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
        text = f"{whole}{millis:03d}"
        self._millisecond = (float(second), millis * 1000 - 0.5, text)
        return text + _MICROS[micros]

    def _encoded_anyhow(self, fields: dict[str, Any]) -> bytes:
        try:
            return encode_fields(fields)
        except Exception as error:  # whatever a value's own __str__ raised too
            return self._without_payload(fields, f"{type(error).__name__}: {error}")

    def _without_payload(self, fields: dict[str, Any], reason: str) -> bytes:
        self.cut += 1
        payload = fields["payload"]
        texts = ("level", "logger", "event", "message")
        return encode_fields(
            {
                **fields,
                **{name: fields[name] and str(fields[name])[:_MOST_TEXT] for name in texts},
                "payload": payload and {"cut": reason[:_MOST_TEXT], "repr": _repr(payload)},
            }
        )


def _mapping(payload: object) -> Mapping[str, Any] | None:
    return payload if payload is None or isinstance(payload, Mapping) else {"value": payload}


def _text(record: logging.LogRecord, formatter: logging.Formatter | None) -> str:
    try:
        if formatter is not None:
            return formatter.format(record)
        text = record.getMessage()
    except Exception as error:
        return _not_fitting(record, error)
    if record.exc_info or record.exc_text:
        trace = record.exc_text or _exceptions.formatException(record.exc_info)  # type: ignore[arg-type]
        text = f"{text}\n{trace}"
    return f"{text}\n{record.stack_info}" if record.stack_info else text


def _not_fitting(record: logging.LogRecord, error: Exception) -> str:
    """Return the text of a record whose arguments do not fit it, or have a `__str__` that raises."""
    return f"{record.msg!s:.{_MOST_TEXT}} [arguments {_repr(record.args)} do not fit: {error!r:.200}]"


def _repr(value: object) -> str:
    try:
        return _short.repr(value)[:_MOST_TEXT]
    except Exception as error:
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
