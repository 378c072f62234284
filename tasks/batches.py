"""Sort a batch: what each record becomes, and which records cannot become anything. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple
from uuid import NAMESPACE_OID, uuid5

from sinks.base import Write
from superhero.transport.compression import pack
from superhero.transport.confirmed import RawMessage
from superhero.transport.dead_letters import Reason, sentence
from superhero.transport.envelope import (
    Envelope,
    EnvelopeError,
    decode,
    task_body,
    task_headers,
)
from tasks.blame import BlamedError
from tasks.registry import Registry

IN_HAND = 500
"""How many records are sorted and made writes of at a time: what is made of more fills a core's cache."""


class Record(NamedTuple):
    """A good record: as it came, and what it becomes. A named tuple, as it is made for each."""

    raw: object
    envelope: Envelope
    writes: Sequence[Write]
    """Its own; what is made of whole batches is made as they are written."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that belongs into quarantine, and why."""

    raw: object
    reason: Reason
    error: str
    blamed: BlamedError | None = None
    """Whose fault it is, where it is a pipeline's or a step's."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one task, sorted. Order is kept on both sides."""

    good: Sequence[Record]
    bad: Sequence[Bad]


class Passage:
    """A task's records on their way into a sink: sorted as it asks for their writes, `IN_HAND` at a time.

    What has to be known of them afterwards is kept; what was made of them is let go of.
    """

    def __init__(self, registry: Registry, bad: Iterable[Bad] = ()) -> None:
        self.ids: list[str] = []
        """Of the good records, in their order."""
        self.oldest = ""
        """The time of the first good one."""
        self.with_steps: list[Record] = []
        """The good ones that something is to be done about once they are safe."""
        self.bad = list(bad)
        self._registry = registry

    def writes(self, raws: Sequence[object]) -> Iterator[Write]:
        """Yield what becomes of these envelopes, those of whole batches first in each handful."""
        for begin in range(0, len(raws), IN_HAND):
            batch = sort_out(self._registry, raws[begin : begin + IN_HAND])
            self.note(batch)
            yield from writes_of(self._registry, batch.good)

    def note(self, batch: Batch) -> None:
        """Keep of a sorted batch what has to be known later."""
        self.bad += batch.bad
        if not batch.good:
            return
        envelopes = [record.envelope for record in batch.good]
        self.ids += [envelope.id for envelope in envelopes]
        self.oldest = self.oldest or envelopes[0].time
        # On most channels there are none, which is found out without a look at each record's event.
        if any(map(self._registry.has_steps_in, {envelope.channel for envelope in envelopes})):
            self.with_steps += [each for each in batch.good if self._registry.has_steps(each.envelope)]


def sort_out(registry: Registry, envelopes: Sequence[object]) -> Batch:
    """Decode each envelope and ask the pipelines for its writes; one bad record leaves the others alone."""
    good: list[Record] = []
    bad: list[Bad] = []
    for raw in envelopes:
        try:
            envelope = decode(raw)
            good.append(Record(raw, envelope, registry.writes(envelope)))
        except EnvelopeError as error:
            bad.append(Bad(raw, Reason.BAD_ENVELOPE, sentence(error)))
        except BlamedError as blamed:
            bad.append(Bad(raw, Reason.PIPELINE_FAILED, str(blamed), blamed))
        except Exception as error:  # the payload does not fit its event
            bad.append(Bad(raw, Reason.PIPELINE_FAILED, sentence(error)))
    return Batch(good, bad)


def writes_of(registry: Registry, records: Sequence[Record]) -> list[Write]:
    """Return all writes of these records: those of whole batches first, then each record's, in order."""
    of_all = registry.writes_of_all([record.envelope for record in records])
    return [*of_all, *chain.from_iterable([record.writes for record in records])]


def task_message(channel: str, task_id: str, raws: Sequence[object]) -> RawMessage:
    """Return the ingest task of these records, as they came."""
    first = raws[0].get("id") if raws and isinstance(raws[0], dict) else None
    # ASCII: an escaped lone surrogate is legal in JSON, and none in UTF-8.
    body = task_body(channel, [json.dumps(raw, separators=(",", ":")).encode("ascii") for raw in raws])
    body, headers = pack(body, task_headers(channel, task_id, len(raws), str(first)[:100]))
    return RawMessage(body, headers=headers, properties={"correlation_id": task_id})


def singly(channel: str, task_id: str, raws: Sequence[object]) -> Iterator[RawMessage]:
    """Yield an ingest task for each record; the same ids whenever the same batch is taken apart."""
    for number, raw in enumerate(raws):
        # Hashed, as a record may be given back any number of times and AMQP's ids hold 255 bytes.
        yield task_message(channel, str(uuid5(NAMESPACE_OID, f"{task_id}-{number}")), [raw])
