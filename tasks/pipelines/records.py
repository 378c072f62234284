"""RECORDS: every record of every channel, as it was logged."""

from __future__ import annotations

from collections.abc import Iterable

from sinks.base import Append, Write
from superhero.transport.envelope import Envelope
from tasks.registry import pipeline


@pipeline()
def records(envelope: Envelope, event: object) -> Iterable[Write]:
    """Append the record; that is what `superhero verify` counts by."""
    row = {
        "record_id": envelope.id,
        "channel": envelope.channel,
        "time": envelope.time,
        "level": envelope.level,
        "logger": envelope.logger,
        "event": envelope.event,
        "message": envelope.message,
        "payload": envelope.payload,
    }
    yield Append("RECORDS", [row])
