"""Switch OpenTelemetry on in processes of ours; your own programs configure its SDK as they please.

Where spans go to is the SDK's to know: OTEL_EXPORTER_OTLP_ENDPOINT and its like. What is set up already, by
`opentelemetry-instrument` for one, is left as it is.
"""

from __future__ import annotations

import sys
from typing import Any

from superhero.errors import TransportError

EXPORTERS = ("none", "otlp", "console")

_provider: Any = None


def set_up(exporter: str, service: str) -> None:
    """Send the spans of this process by `exporter`, one of EXPORTERS; with none nothing is imported.

    Raise TransportError where the extra is not installed.
    """
    global _provider
    if exporter == "none":
        return
    try:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider

        if isinstance(trace.get_tracer_provider(), TracerProvider):
            return
        _provider = TracerProvider(resource=Resource.create({"service.name": service}))
        _provider.add_span_processor(_processor(exporter))
    except ImportError as error:
        raise TransportError(
            f"traces by {exporter!r} need {error.name}, which is not installed: pip install -e '.[otel]' in "
            "the project's folder"
        ) from error
    trace.set_tracer_provider(_provider)


def shut_down() -> None:
    """Send what waits to be sent."""
    if _provider is not None:
        _provider.shutdown()


def _processor(exporter: str) -> Any:
    from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor

    if exporter == "console":
        # Celery makes log records of what is printed to sys.stdout; a span is a line of JSON.
        return SimpleSpanProcessor(
            ConsoleSpanExporter(
                out=sys.__stdout__ or sys.stdout, formatter=lambda span: f"{span.to_json(indent=None)}\n"
            )
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return BatchSpanProcessor(OTLPSpanExporter())
