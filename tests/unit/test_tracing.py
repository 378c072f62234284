"""Traces through the transport: what travels, what becomes a span, and that nothing does unless asked."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler

from superhero.errors import TransportError
from superhero.testing import ScriptedSender
from superhero.transport import CeleryHandler, telemetry, tracing
from superhero.transport.tracing import FIELD, LogSpans
from superhero.transport.trouble import Trouble
from tasks.tracing import delivery, write


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Give what keeps the spans of the test, whose provider is the global one meanwhile."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


class TheirsError(Exception):
    """What a program's own part of its tracing raises."""


def broken(*_: object, **__: object) -> Any:
    """Stand for any method of such a part."""
    raise TheirsError("broken")


@pytest.fixture(params=["sampler", "on_start", "on_end"])
def broken_tracing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a global provider that can begin no span, or end none."""
    theirs: Any
    if request.param == "sampler":
        theirs = type(
            "Theirs", (Sampler,), {"should_sample": broken, "get_description": lambda _: "theirs"}
        )()
        provider = TracerProvider(sampler=theirs)
    else:
        theirs = type("Theirs", (SpanProcessor,), {request.param: broken})()
        provider = TracerProvider()
        provider.add_span_processor(theirs)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(tracing, "_trouble", Trouble(logging.getLogger("superhero.transport"), lambda: 0.0))
    yield
    provider.shutdown()


@pytest.fixture
def sender() -> ScriptedSender:
    """Give a sender that takes everything."""
    return ScriptedSender()


@pytest.fixture
def log(sender: ScriptedSender) -> Iterator[logging.Logger]:
    """Give a logger whose records go to the sender."""
    logger = logging.getLogger("shop.tracing")
    with closing(CeleryHandler(sender=lambda: sender)) as handler:
        logger.addHandler(handler)
        yield logger
        logger.removeHandler(handler)


def flushed(log: logging.Logger) -> None:
    """Wait until every record is confirmed."""
    (handler,) = log.handlers
    assert isinstance(handler, CeleryHandler)
    assert handler.flush(10)


def traceparents(sender: ScriptedSender) -> list[str | None]:
    """Return what each record that was sent carries."""
    return [json.loads(each).get(FIELD) for lease in sender.arrived for each in lease.encoded]


def test_a_record_carries_the_span_that_it_was_logged_in(
    spans: InMemorySpanExporter, sender: ScriptedSender, log: logging.Logger
) -> None:
    with trace.get_tracer("shop").start_as_current_span("checkout") as checkout:
        log.warning("paid")
        context = checkout.get_span_context()
    flushed(log)
    assert traceparents(sender) == [tracing.traceparent(context)]
    publish, _ = sorted(spans.get_finished_spans(), key=lambda span: span.name != "publish")
    assert publish.parent is not None
    assert (publish.parent.span_id, publish.context.trace_id) == (context.span_id, context.trace_id)
    assert sender.arrived[0].headers == {FIELD: tracing.traceparent(publish.context)}


def test_a_record_that_is_logged_outside_a_span_carries_nothing_and_makes_none(
    spans: InMemorySpanExporter, sender: ScriptedSender, log: logging.Logger
) -> None:
    log.warning("paid")
    flushed(log)
    assert traceparents(sender) == [None]
    assert sender.arrived[0].headers == {}
    assert spans.get_finished_spans() == ()


def test_a_span_that_is_not_sampled_is_not_carried_on(
    monkeypatch: pytest.MonkeyPatch, sender: ScriptedSender, log: logging.Logger
) -> None:
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", TracerProvider(sampler=ALWAYS_OFF))
    with trace.get_tracer("shop").start_as_current_span("checkout"):
        log.warning("paid")
    flushed(log)
    assert traceparents(sender) == [None]


def test_without_the_sdk_the_current_span_is_not_even_asked_for(
    spans: InMemorySpanExporter,
    monkeypatch: pytest.MonkeyPatch,
    sender: ScriptedSender,
    log: logging.Logger,
) -> None:
    with trace.get_tracer("shop").start_as_current_span("checkout"):
        monkeypatch.delitem(sys.modules, "opentelemetry.sdk.trace")
        monkeypatch.delattr(trace, "get_current_span")
        log.warning("paid")
    flushed(log)
    assert traceparents(sender) == [None]


def test_a_record_that_says_it_is_traced_in_its_payload_is_not(
    spans: InMemorySpanExporter, sender: ScriptedSender, log: logging.Logger
) -> None:
    made_up = f"00-{'1' * 32}-{'2' * 16}-01"
    log.warning("paid", extra={"payload": {FIELD: made_up}})
    log.warning("paid", extra={"payload": {"x": "-01"}})
    flushed(log)
    assert spans.get_finished_spans() == ()


def test_records_of_many_traces_are_linked_from_the_task_that_carries_them(
    spans: InMemorySpanExporter, sender: ScriptedSender, log: logging.Logger
) -> None:
    traced = []
    for number in range(200):
        with trace.get_tracer("shop").start_as_current_span(f"checkout {number}") as checkout:
            log.warning("paid")
            traced.append(tracing.traceparent(checkout.get_span_context()))
    flushed(log)
    assert traceparents(sender) == traced
    published = [span for span in spans.get_finished_spans() if span.name == "publish"]
    assert len(published) == len(sender.arrived)
    for lease, publish in zip(sender.arrived, published, strict=True):
        assert publish.attributes is not None
        assert publish.attributes["messaging.batch.message_count"] == len(lease.encoded)
        assert len(publish.links) == min(len(lease.encoded) - 1, tracing.MOST_LINKS)


def test_a_task_that_is_refused_is_a_failed_span_and_a_new_one_when_it_is_sent_again(
    spans: InMemorySpanExporter,
) -> None:
    sender, logger = ScriptedSender("nack", "ok"), logging.getLogger("shop.refused")
    with closing(CeleryHandler(sender=lambda: sender)) as handler:
        logger.addHandler(handler)
        with trace.get_tracer("shop").start_as_current_span("checkout"):
            logger.warning("paid")
        assert handler.flush(10)
        logger.removeHandler(handler)
    states = [span.status.is_ok for span in spans.get_finished_spans() if span.name == "publish"]
    assert states == [False, True]


def test_a_program_without_spans_can_have_its_log_calls_begin_the_traces(
    spans: InMemorySpanExporter, sender: ScriptedSender
) -> None:
    logger = logging.getLogger("shop.spans")
    with closing(CeleryHandler(sender=lambda: sender)) as handler:
        begins = LogSpans(handler)
        logger.addHandler(begins)
        logger.warning("paid", extra={"event": "order.paid"})
        assert handler.flush(10)
        logger.removeHandler(begins)
    publish, call = sorted(spans.get_finished_spans(), key=lambda span: span.name != "publish")
    assert call.name == "log shop.spans"
    assert publish.parent is not None
    assert publish.parent.span_id == call.context.span_id


def test_a_log_call_that_begins_a_trace_asks_for_no_lock(
    spans: InMemorySpanExporter, sender: ScriptedSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_in_python_3_13(handler: logging.Handler, record: logging.LogRecord) -> None:
        with handler.lock:  # type: ignore[union-attr]  # as it says there
            handler.emit(record)

    monkeypatch.setattr(logging.Handler, "handle", as_in_python_3_13)
    with closing(CeleryHandler(sender=lambda: sender)) as handler:
        LogSpans(handler).handle(logging.makeLogRecord({"name": "shop.spans", "msg": "paid"}))
        assert handler.flush(10)
    assert len(traceparents(sender)) == 1


@pytest.mark.usefixtures("broken_tracing")
def test_tracing_that_raises_costs_neither_the_program_nor_its_records_anything(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sender, logger = ScriptedSender("nack", "lost", "ok"), logging.getLogger("shop.broken")
    parent = trace.NonRecordingSpan(trace.SpanContext(1, 2, False, trace.TraceFlags(1)))
    with closing(CeleryHandler(sender=lambda: sender)) as handler:
        begins = LogSpans(handler)
        logger.addHandler(begins)
        with trace.use_span(parent):
            for _ in range(50):
                logger.warning("paid")
        assert handler.flush(10)
        logger.removeHandler(begins)
        assert handler.counters().confirmed == 50
    assert caplog.text.count("TheirsError: broken") == 1, "once, with its traceback"


@pytest.mark.usefixtures("broken_tracing")
def test_tracing_that_raises_fails_no_task_and_hides_no_error_of_one() -> None:
    headers = {FIELD: f"00-{'a' * 32}-{'b' * 16}-01"}
    done = []
    with delivery("shop.orders", [None], headers, 0), write(1):
        done.append("written")
    assert done == ["written"]
    with pytest.raises(ZeroDivisionError), delivery("shop.orders", [None], headers, 0), write(1):
        raise ZeroDivisionError


def test_a_delivery_goes_on_with_the_task_s_span_and_links_those_of_its_records(
    spans: InMemorySpanExporter,
) -> None:
    task, records = f"00-{'a' * 32}-{'b' * 16}-01", [f"00-{n:032x}-{n:016x}-01" for n in (1, 2)]
    raws = [{FIELD: each} for each in records] + [{}, {FIELD: 7}, {FIELD: "nonsense"}, None]
    with delivery("shop.orders", raws, {FIELD: task}, 2), write(6):
        assert trace.get_current_span().is_recording()
    written, ingest = spans.get_finished_spans()
    assert (written.name, ingest.name) == ("write", "ingest")
    assert ingest.parent is not None
    assert written.parent is not None
    assert tracing.traceparent(ingest.parent) == task
    assert written.parent.span_id == ingest.context.span_id
    assert [tracing.traceparent(link.context) for link in ingest.links] == records


def test_a_delivery_without_a_traced_record_makes_no_span(spans: InMemorySpanExporter) -> None:
    with delivery("shop.orders", [{}], {}, 0), write(1):
        assert not trace.get_current_span().is_recording()
    assert spans.get_finished_spans() == ()


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(TransportError, match=r"pip install -e '\.\[otel\]'"):
        telemetry.set_up("otlp", "x")
