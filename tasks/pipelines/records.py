"""RECORDS: every record of every channel, as it was logged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sinks.base import Append, Write
from superhero.transport.envelope import Envelope
from tasks.registry import whole_batch


@whole_batch
def records(envelopes: Sequence[Envelope]) -> Iterable[Write]:
    """Append the records; that is what `superhero verify` counts by."""
    rows = [
        {
            "record_id": record_id,
            "channel": channel,
            "time": time,
            "level": level,
            "logger": logger,
            "event": event,
            "message": message,
            "payload": payload,
        }
        for record_id, channel, time, level, logger, event, message, payload in envelopes
    ]
    yield Append("RECORDS", rows)
