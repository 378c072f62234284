"""Take from a log record what travels, as it is at this moment, and encode it.

Whatever a record holds, something of it is sent: a payload that JSON cannot hold or that is too large goes
as its shortened `repr`, arguments that do not fit the text stand beside it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from reprlib import Repr
from typing import Any

from superhero.transport.envelope import channel_name, encode_fields, is_record_id

_OWN_LOGGERS = frozenset({"amqp", "billiard", "celery", "kombu", "redis", "vine"})
_OWN_LOGGER = "superhero.transport"
_MOST_CHANNELS = 10_000
_MOST_TEXT = 8192
_exceptions = logging.Formatter()
_short = Repr()
_short.maxlevel, _short.maxdict, _short.maxstring, _short.maxother = 4, 20, 200, 200


class Capture:
    """Encodes records; safe from many threads. `max_bytes` is how large an encoded record may be."""

    def __init__(self, max_bytes: int) -> None:
        self.cut = 0
        """How many records went with a stand-in for their payload."""
        self._max_bytes = max_bytes
        self._channels: dict[str, str | None] = {}
        self._second = (-1, "")

    def channel(self, record: logging.LogRecord) -> str | None:
        """Return the record's channel; None when it came from the transport or a library it is built on."""
        name = record.name
        try:
            of_logger = self._channels[name]
        except KeyError:
            of_logger = self._remember(name)
        chosen = record.__dict__.get("channel")
        if chosen is None or of_logger is None:
            return of_logger
        return channel_name(str(chosen))

    def fields(
        self, record: logging.LogRecord, channel: str, formatter: logging.Formatter | None = None
    ) -> bytes:
        """Return the encoded fields of the envelope, all but its id."""
        extra = record.__dict__
        event = extra.get("event")
        payload = extra.get("payload")
        fields: dict[str, Any] = {
            "channel": channel,
            "time": self._time(record.created),
            "level": record.levelname,
            "logger": record.name,
            "event": event if event is None or type(event) is str else str(event),
            "message": _text(record, formatter),
            "payload": payload if type(payload) is dict else _mapping(payload),
        }
        try:
            encoded = encode_fields(fields)
        except Exception as error:  # whatever a value's own __str__ raised too
            encoded = self._without_payload(fields, f"{type(error).__name__}: {error}")
        if len(encoded) > self._max_bytes:
            encoded = self._without_payload(fields, f"larger than {self._max_bytes} bytes: {len(encoded)}")
        return encoded

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

    def _time(self, created: float) -> str:
        second, text = self._second
        whole, micros = divmod(round(created * 1e6), 1_000_000)
        if whole != second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
            self._second = (whole, text)
        return f"{text}.{micros:06d}Z"

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


def own_record_id(record: logging.LogRecord) -> str | None:
    """Return the id that the record brings itself, if it brings a valid one."""
    record_id = record.__dict__.get("record_id")
    return record_id if is_record_id(record_id) else None


def _mapping(payload: object) -> Mapping[str, Any] | None:
    return payload if payload is None or isinstance(payload, Mapping) else {"value": payload}


def _text(record: logging.LogRecord, formatter: logging.Formatter | None) -> str:
    try:
        if formatter is not None:
            return formatter.format(record)
        text = record.getMessage()
    except Exception as error:  # arguments that do not fit, or whose own __str__ raises
        return f"{record.msg!s:.{_MOST_TEXT}} [arguments {_repr(record.args)} do not fit: {error!r:.200}]"
    if record.exc_info or record.exc_text:
        trace = record.exc_text or _exceptions.formatException(record.exc_info)  # type: ignore[arg-type]
        text = f"{text}\n{trace}"
    return f"{text}\n{record.stack_info}" if record.stack_info else text


def _repr(value: object) -> str:
    try:
        return _short.repr(value)[:_MOST_TEXT]
    except Exception as error:
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"
