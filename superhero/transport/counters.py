"""What the transport of one process did since it started, in figures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counters:
    """A snapshot; JSON-ready by `dataclasses.asdict`. Records where nothing else is said.

    `emitted + adopted == confirmed + dropped + waiting`, give or take what moves meanwhile.

    emitted        logged through the handler, dropped ones included
    dropped        not kept: no room, or left unconfirmed in memory at the end; each leaves a gap in the ids
    cut            kept with a stand-in for a payload that was too large or that JSON cannot hold
    published      handed to the broker, each time anew when sent again
    confirmed      taken over by the broker
    refused        given back by the broker, or held back because a queue stands otherwise; sent again
    waiting        here and not confirmed
    waiting_bytes  how much memory or disk those take
    in_flight      of those waiting, sent and without an answer so far
    oldest_age_s   seconds since the oldest of those was logged; 0.0 when there is none
    spooled        written to the spool
    adopted        found in the spool of a process that died
    corrupt        stretches of a spool that could not be read, and were left out
    connects       connections made
    connected      whether there is one now
    blocked        whether the broker asked for a pause
    last_error     the latest trouble with the broker or the spool, "" when there was none
    """

    emitted: int = 0
    dropped: int = 0
    cut: int = 0
    published: int = 0
    confirmed: int = 0
    refused: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    in_flight: int = 0
    oldest_age_s: float = 0.0
    spooled: int = 0
    adopted: int = 0
    corrupt: int = 0
    connects: int = 0
    connected: bool = False
    blocked: bool = False
    last_error: str = ""
