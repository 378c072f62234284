"""What one server process shows to Prometheus: its connections, its events, its transport, its process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from superhero.commands.announce import announce
from superhero.commands.endpoint import endpoint
from superhero.transport import CeleryHandler
from superhero.transport.metrics import TransportCollector


class ServerCollector(Collector):
    """Yields `superhero_server_...` of one server, from what it says about itself."""

    def __init__(self, figures: Callable[[], Mapping[str, Any]]) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""
        figures = self._figures()
        events = CounterMetricFamily(
            "superhero_server_events", "Events that this server logged.", labels=["event"]
        )
        for name, count in figures["events"].items():
            events.add_metric([name], count)
        refused = CounterMetricFamily(
            "superhero_server_refused", "What this server turned away, by what was wrong.", labels=["what"]
        )
        for name, count in figures["refused"].items():
            refused.add_metric([name], count)
        open_now = GaugeMetricFamily(
            "superhero_server_connections", "Connections that are open.", figures["connections"]
        )
        lobby = GaugeMetricFamily(
            "superhero_server_lobby_connections",
            "Connections that wait for news of a game.",
            figures["lobby_connections"],
        )
        return [events, refused, open_now, lobby]

    def describe(self) -> Iterable[Metric]:
        """Return nothing: registering asks nobody."""
        return []


@contextmanager
def shown(
    figures: Callable[[], Mapping[str, Any]], handler: CeleryHandler | None, host: str, port: int | None
) -> Iterator[None]:
    """Show a server's metrics at http://host:port/metrics; not at all where no port is set."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(ServerCollector(figures))
    if handler is not None:
        registry.register(TransportCollector(handler))
    with nullcontext(None) if port is None else endpoint(registry, host, port) as at:
        if at is not None:
            announce(f"metrics at http://{host}:{at}/metrics")
        yield
