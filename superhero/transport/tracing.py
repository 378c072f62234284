"""Carry traces along: one from the log call's span through the broker to the file. OpenTelemetry's API alone.

    span of the application, current when it logs       its context travels in the envelope: "traceparent"
      publish     one a task, until its confirm         its context travels in the task's headers
        ingest    one a delivery, in a worker
          write   one a batch

A task carries records of many traces: the span is a child of the first record's, and linked to the others.
Records that are logged outside a span, or in one that is not sampled, are not traced, and a task without a
traced record makes no span. Without OpenTelemetry's SDK in the process nothing is done but to notice that.
Whatever a tracer raises, a program's own sampler for one, is told, rarely, and stays here: it may cost a
span, but no record, and fails no task.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from types import TracebackType
from typing import Any

from superhero.transport.leases import Lease
from superhero.transport.lockless import LocklessHandler
from superhero.transport.sender import Outcome
from superhero.transport.trouble import Trouble

FIELD = "traceparent"
"""In an envelope and in a task's headers, as the W3C has it; in an encoded envelope it comes last."""

MOST_LINKS = 128

SDK = "opentelemetry.sdk.trace"
"""Where this module was imported, somebody brought OpenTelemetry's SDK into this process."""
_TRACEPARENT = re.compile(r"00-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-(?P<flags>[0-9a-f]{2})")
_SAMPLED = 1
# What else an envelope ends with is its payload: an object, or null.
_END = b'"}'
_LENGTH = 55
_NAME = "superhero"
_trouble = Trouble(logging.getLogger("superhero.transport"), time.monotonic)


def is_on() -> bool:
    """Tell whether somebody brought OpenTelemetry's SDK into this process."""
    return SDK in sys.modules


def current() -> str | None:
    """Return the traceparent of the current span; None when there is none, or it is not sampled."""
    if SDK not in sys.modules:
        return None
    try:
        from opentelemetry.trace import get_current_span

        context = get_current_span().get_span_context()
        return traceparent(context) if context.is_valid and context.trace_flags.sampled else None
    except Exception as error:
        _trouble.note(error)
        return None


def traceparent(context: Any) -> str:
    """Return how a span's context travels."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def batch_attributes(channel: str, records: int) -> dict[str, Any]:
    """Return what a span of a task says of it, by OpenTelemetry's names."""
    return {
        "messaging.system": "celery",
        "messaging.destination.name": channel,
        "messaging.batch.message_count": records,
    }


def span(
    name: str, parents: Sequence[str], attributes: Mapping[str, Any], *, consumer: bool
) -> AbstractContextManager[None]:
    """Have a span within, a child of the first of `parents` and linked to the others; none without them."""

    def begin() -> AbstractContextManager[Any]:
        started = _start(name, parents, attributes, consumer=consumer)
        if started is None:
            return nullcontext()
        from opentelemetry.trace import use_span

        return use_span(started, end_on_exit=True)

    return _Guarded(begin)


def inner_span(name: str, attributes: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Have a span within, a child of the current one; none where none is current."""
    return _Guarded(lambda: nullcontext() if current() is None else _current_span(name, attributes))


class PublishSpans:
    """The spans of tasks on their way to the broker. Used by the publisher's thread alone."""

    def __init__(self) -> None:
        self._spans: dict[str, Any] = {}

    def begin(self, lease: Lease) -> Lease:
        """Return the lease with the headers that carry its span on, if any record of it is traced."""
        try:
            return self._begun(lease)
        except Exception as error:
            _trouble.note(error)
            return lease

    def end(self, outcome: Outcome) -> None:
        """End the span of a lease with what became of it."""
        started = self._spans.pop(outcome.lease.task_id, None) if self._spans else None
        if started is None:
            return
        try:
            if not outcome.confirmed:
                from opentelemetry.trace import StatusCode

                started.set_status(StatusCode.ERROR, outcome.reason)
            started.end()
        except Exception as error:
            _trouble.note(error)

    def _begun(self, lease: Lease) -> Lease:
        if SDK not in sys.modules or not (parents := _traced(lease.encoded)):
            return lease
        started = _start(
            "publish", parents, batch_attributes(lease.channel, len(lease.encoded)), consumer=False
        )
        if started is None:
            return lease
        self._spans[lease.task_id] = started
        return replace(lease, headers={FIELD: traceparent(started.get_span_context())})


class LogSpans(LocklessHandler):
    """Hands records on to another handler, each within a span of its own: a trace begins with the log call.

    For programs that have no spans where they log; those that have need nothing of this. A record whose span
    cannot begin or end is handed on all the same.
    """

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__(handler.level)
        self._handler = handler

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on; without OpenTelemetry as it is."""
        if SDK not in sys.modules:
            self._handler.handle(record)
            return
        with _Guarded(
            lambda: _current_span(f"log {record.name}", {"event": str(record.__dict__.get("event", ""))})
        ):
            self._handler.handle(record)


class _Guarded(AbstractContextManager[None]):
    """Enters what `begin` returns. What it raises by itself stays here; what is raised within does not."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Any]]) -> None:
        self._begin = begin
        self._entered: AbstractContextManager[Any] = nullcontext()

    def __enter__(self) -> None:
        try:
            begun = self._begin()
            begun.__enter__()
            self._entered = begun
        except Exception as error:
            _trouble.note(error)

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._entered.__exit__(kind, raised, trace)
        except Exception as error:
            if error is not raised:
                _trouble.note(error)


def _current_span(name: str, attributes: Mapping[str, Any]) -> AbstractContextManager[Any]:
    from opentelemetry.trace import get_tracer

    return get_tracer(_NAME).start_as_current_span(name, attributes=attributes)


def _traced(encoded: Iterable[bytes]) -> list[str]:
    """Return the traceparents of records, each once."""
    ends = (
        record[-_LENGTH - 2 : -2].decode("ascii", "replace") for record in encoded if record.endswith(_END)
    )
    return list(dict.fromkeys(end for end in ends if _TRACEPARENT.fullmatch(end)))


def _start(name: str, parents: Sequence[str], attributes: Mapping[str, Any], *, consumer: bool) -> Any:
    if SDK not in sys.modules:
        return None
    contexts = [found for found in map(_context, parents) if found is not None]
    if not contexts:
        return None
    from opentelemetry import trace

    first = trace.set_span_in_context(trace.NonRecordingSpan(contexts[0]))
    return trace.get_tracer(_NAME).start_span(
        name,
        context=first,
        kind=trace.SpanKind.CONSUMER if consumer else trace.SpanKind.PRODUCER,
        links=[trace.Link(context) for context in contexts[1 : MOST_LINKS + 1]],
        attributes=dict(attributes),
    )


def _context(text: str) -> Any:
    """Return a span's context that travelled; None for what is none, or is not sampled."""
    from opentelemetry.trace import SpanContext, TraceFlags

    found = _TRACEPARENT.fullmatch(text) if isinstance(text, str) else None
    if found is None or not int(found["flags"], 16) & _SAMPLED:
        return None
    context = SpanContext(
        int(found["trace"], 16), int(found["span"], 16), is_remote=True, trace_flags=TraceFlags(_SAMPLED)
    )
    return context if context.is_valid else None
