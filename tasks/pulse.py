"""The worker's part in the pulse: a child notes each batch it is done with, the parent says that it lives.

A batch is noted before it is acknowledged, so whichever process is killed, what was acknowledged is noted;
and what is noted twice, as it was delivered twice, counts once (superhero/pulse). Nothing here fails a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from operator import eq
from typing import Any

from celery import bootsteps, current_app
from celery.worker import state

from superhero.pulse.account import DATED_MS, LARGEST_NUMBER, lag_field
from superhero.pulse.heart import Heart, Said
from superhero.pulse.notes import Span
from superhero.transport.envelope import is_record_id
from tasks import quarantine, resources
from tasks.batches import Bad, Passage

_COUNTED = "RECORDS"
"""The dataset that has every record, and that `superhero verify` counts by."""

_rows_noted = 0


def note(worker: str, passage: Passage) -> None:
    """Note a batch whose good records are written, and whose bad ones are in quarantine."""
    written, aside = passage.ids, passage.bad
    noted = list(spans(written))
    # Rows of records whose numbers are too large to be noted would pass for doubled ones.
    too_large = len(written) - sum(after - first for _, first, after in noted)
    rows = max(_rows_new() - too_large, 0)
    counts = {"batches": 1, "quarantined": len(aside), "rows": rows}
    if written:
        # That of the oldest counts for all: so no lag looks smaller than it was, and it costs one look.
        lag_ms = _lag_ms(passage.oldest)
        if lag_ms is not None:
            counts[lag_field(lag_ms)] = len(written)
            counts["lag_sum_ms"] = round(lag_ms * len(written))
    resources.notes().add(
        _name_of_sink(current_app.conf.superhero_secret_sinks),
        worker,
        written=noted,
        aside=list(spans(list(_ids(aside)))),
        counts={name: count for name, count in counts.items() if count},
    )


def spans(record_ids: Sequence[str]) -> Iterator[Span]:
    """Yield the numbers of each producer, those that follow each other as one span. Pure."""
    if len(record_ids) > 1 and (whole := _one_span(record_ids)) is not None:
        yield whole
        return
    producer, first, after = "", 0, -1
    for record_id in record_ids:
        name, _, digits = record_id.rpartition(":")
        number = int(digits)
        if number == after and name == producer:
            after += 1
            continue
        if after >= 0:
            yield producer, first, after
        producer, first, after = (name, number, number + 1) if number < LARGEST_NUMBER else ("", 0, -1)
    if after >= 0:
        yield producer, first, after


def _one_span(record_ids: Sequence[str]) -> Span | None:
    """Return the span that these are, as a whole batch of one producer mostly is; None if they are more."""
    producer, colon, digits = record_ids[0].rpartition(":")
    first, after = int(digits), int(digits) + len(record_ids)
    # Made and compared by the interpreter itself: a third of the time of taking each apart.
    alike = map((producer + colon).__add__, map(str, range(first, after)))
    is_one = after <= LARGEST_NUMBER and all(map(eq, record_ids, alike))
    return (producer, first, after) if is_one else None


def _ids(bad: Iterable[Bad]) -> Iterator[str]:
    for each in bad:
        record_id = each.raw.get("id") if isinstance(each.raw, dict) else None
        if is_record_id(record_id):
            yield str(record_id)


def _rows_new() -> int:
    """Return how many rows this process's sink added since the last note, if it is one that tells."""
    global _rows_noted
    added = getattr(resources.sink(), "rows_added", None)
    if added is None:
        return 0
    new, _rows_noted = added[_COUNTED] - _rows_noted, added[_COUNTED]
    return int(new)


def _lag_ms(time: str) -> float | None:
    with suppress(ValueError, TypeError):  # an envelope's time may be any text
        lag_ms = (datetime.now(UTC) - datetime.fromisoformat(time)).total_seconds() * 1000
        return max(lag_ms, 0.0) if abs(lag_ms) <= DATED_MS else None
    return None


@cache
def _name_of_sink(url: str) -> str:
    return blake2b(url.encode(), digest_size=8).hexdigest()


class PulseStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Lets the worker's parent have a pulse."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        """Make the pulse; it begins with the first start of the consumer."""
        super().__init__(consumer, **options)
        self._heart: Heart | None = None

    def start(self, consumer: Any) -> None:
        """Begin, once; the consumer starts anew after every reconnection."""
        if self._heart is None:
            url = consumer.app.conf.superhero_secret_redis_url
            self._heart = Heart(url, "worker", consumer.hostname, lambda: _said(consumer))
            self._heart.open()

    def stop(self, consumer: Any) -> None:
        """Go on: this is also called before a reconnection."""

    def shutdown(self, consumer: Any) -> None:
        """End."""
        if self._heart is not None:
            self._heart.close()


def _said(consumer: Any) -> Said:
    facts = {
        "in_hand": len(state.reserved_requests),
        "channels": sorted(consumer.app.amqp.queues.consume_from),
        "children": int(getattr(consumer.pool, "num_processes", 1) or 1),
    }
    return Said(facts, counts={"quarantined": quarantine.messages_set_aside})
