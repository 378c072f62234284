"""The worker's part of a trace: a span for each delivery of a batch, and one within it for the write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from typing import Any

from celery import current_app, signals

from superhero.transport import telemetry
from superhero.transport.tracing import FIELD, batch_attributes, inner_span, is_on, span


def delivery(
    channel: str, envelopes: Sequence[object], headers: Mapping[str, Any], earlier: int
) -> AbstractContextManager[None]:
    """Have a span for a delivery: a child of the task's, linked to those of its records; none untraced."""
    if not is_on():
        return nullcontext()
    parents = list(dict.fromkeys(chain(_of_task(headers), _of_records(envelopes))))
    attributes = {**batch_attributes(channel, len(envelopes)), "superhero.earlier_deliveries": earlier}
    return span("ingest", parents, attributes, consumer=True)


def write(records: int) -> AbstractContextManager[None]:
    """Have a span for a write, if the delivery has one."""
    return inner_span("write", {"superhero.records": records}) if is_on() else nullcontext()


def _of_task(headers: Mapping[str, Any]) -> Iterator[str]:
    carried = headers.get(FIELD)
    if isinstance(carried, str):
        yield carried


def _of_records(envelopes: Sequence[object]) -> Iterator[str]:
    for raw in envelopes:
        carried = raw.get(FIELD) if isinstance(raw, dict) else None
        if isinstance(carried, str):
            yield carried


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _in_child(**_: Any) -> None:
    """Begin to trace in the child: threads that were begun before the fork do not live here."""
    telemetry.set_up(current_app.conf.superhero_traces_exporter, "superhero worker")


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _at_end(**_: Any) -> None:
    telemetry.shut_down()
