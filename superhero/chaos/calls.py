"""Logging calls by number: what a producer prints of each, and how a row of the sink is known for it.

A call is told by its channel, by the producer process it was made in (processes are counted from 1) and by
its number there: `chaos.orders 3.17`. The numbering is the producer's own and independent of record ids, so
that a loss or a double is found even where those were wrong.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

PLAIN_CHANNELS = ("chaos.orders", "chaos.payments", "chaos.mail")
GAME_CHANNEL = "superhero.lobby"
CHANNELS = (*PLAIN_CHANNELS, GAME_CHANNEL)

_SPOKEN = re.compile(r"(returned|refused) ([A-Za-z0-9_.-]+) (\d+\.\d+)$")
_MESSAGE = re.compile(r"call (\d+\.\d+)\b")


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a producer said of one call: it returned, or it raised and the application knows."""

    call: str
    returned: bool

    def line(self) -> str:
        """Return the line that is printed, without its newline."""
        return f"{'returned' if self.returned else 'refused'} {self.call}"


def call_name(channel: str, process: int, number: int) -> str:
    """Return the name of a call."""
    return f"{channel} {process}.{number}"


def channel_of(call: str) -> str:
    """Return the channel of a call."""
    return call.partition(" ")[0]


def message_text(process: int, number: int, text: str) -> str:
    """Return the message of a record, by which its row is known."""
    return f"call {process}.{number} {text}"


def spoken(line: str) -> Spoken | None:
    """Return what a line of a producer's output says, or None for any other line."""
    match = _SPOKEN.match(line)
    return Spoken(f"{match[2]} {match[3]}", match[1] == "returned") if match else None


def call_in(fields: object) -> str | None:
    """Return the call that an envelope or a row came from, or None when it is not one of ours."""
    if not isinstance(fields, dict):
        return None
    channel, message = fields.get("channel"), fields.get("message")
    match = _MESSAGE.match(message) if isinstance(message, str) else None
    return f"{channel} {match[1]}" if match and isinstance(channel, str) else None


def calls_in_task(body: bytes) -> Iterator[str]:
    """Yield the calls whose envelopes stand in the body of an ingest task; nothing for any other bytes."""
    try:
        arguments = json.loads(body)[0]
        envelopes = arguments[1]
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    for fields in envelopes if isinstance(envelopes, list) else ():
        if call := call_in(fields):
            yield call
