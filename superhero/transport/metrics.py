"""Show a handler's counters to Prometheus, by one call in any program:

    from superhero.transport.metrics import export

    export(handler)                 # in the registry that the program shows already
    export(handler, port=9100)      # or by a small HTTP server of our own, on loopback

The figures are read when somebody asks for them and cost nothing meanwhile. They are those of this process: a
program of many processes exports from each, as prometheus_client's multiprocess mode knows no collectors.
"""

from __future__ import annotations

from collections.abc import Iterable
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from superhero.transport.counters import Counters
from superhero.transport.handler import CeleryHandler

COUNTED = {
    "emitted": "Records logged through the handler, dropped ones included.",
    "dropped": "Records that found no room; each is lost and leaves a gap in the ids.",
    "cut": "Records that went with a stand-in for their payload.",
    "published": "Records handed to the broker, each time anew when sent again.",
    "confirmed": "Records that the broker took over.",
    "refused": "Records that the broker gave back; they are sent again.",
    "spooled": "Records written to the spool.",
    "adopted": "Records found in the spool of a process that died.",
}
GAUGED = {
    "waiting": ("waiting_records", "Records that are here and not confirmed."),
    "waiting_bytes": ("waiting_bytes", "How much memory or disk those take."),
    "in_flight": ("in_flight_records", "Records that are sent and have no answer so far."),
    "oldest_age_s": ("oldest_seconds", "Seconds since the oldest of those was logged."),
    "connected": ("connected", "Whether there is a connection to the broker, 0 or 1."),
    "blocked": ("blocked", "Whether the broker asked for a pause, 0 or 1."),
}


class TransportCollector(Collector):
    """Yields `superhero_transport_...` of one handler."""

    def __init__(self, handler: CeleryHandler) -> None:
        self._handler = handler

    def collect(self) -> Iterable[Metric]:
        """Return the metrics as they are now."""
        return transport_metrics(self._handler.counters())

    def describe(self) -> Iterable[Metric]:
        """Return the same without values, so that registering reads none."""
        return transport_metrics(Counters())


def transport_metrics(counters: Counters) -> list[Metric]:
    """Return a handler's counters as metrics."""
    metrics: list[Metric] = [
        CounterMetricFamily(f"superhero_transport_records_{name}", text, getattr(counters, name))
        for name, text in COUNTED.items()
    ]
    metrics += [
        CounterMetricFamily(
            "superhero_transport_connects", "Connections made to the broker.", counters.connects
        ),
        CounterMetricFamily(
            "superhero_transport_spool_corrupt",
            "Stretches of a spool that could not be read.",
            counters.corrupt,
        ),
    ]
    return metrics + [
        GaugeMetricFamily(f"superhero_transport_{name}", text, float(getattr(counters, field)))
        for field, (name, text) in GAUGED.items()
    ]


class Exported:
    """A handler's figures in a registry, and perhaps an endpoint. `close` takes both away.

    url  where the endpoint is; "" without one
    """

    def __init__(
        self, handler: CeleryHandler, registry: CollectorRegistry, host: str, port: int | None
    ) -> None:
        self.url = ""
        self._registry = registry
        self._collector = TransportCollector(handler)
        self._endpoint: tuple[WSGIServer, Thread] | None = None
        registry.register(self._collector)
        if port is not None:
            try:
                self._endpoint = start_http_server(port, host, registry)
            except OSError:
                registry.unregister(self._collector)
                raise
            self.url = f"http://{host}:{self._endpoint[0].server_port}/metrics"

    def close(self) -> None:
        """Show the figures no more."""
        self._registry.unregister(self._collector)
        if self._endpoint is not None:
            server, thread = self._endpoint
            server.shutdown()
            server.server_close()
            thread.join()


def export(
    handler: CeleryHandler,
    *,
    registry: CollectorRegistry = REGISTRY,
    port: int | None = None,
    host: str = "127.0.0.1",
) -> Exported:
    """Add a handler's figures to `registry`; with `port`, serve that registry over HTTP, in a thread.

    Whoever reaches the port may read: it asks for no password. Raise OSError when the port cannot be had, and
    ValueError for a second handler in the same registry: give each one of its own.
    """
    return Exported(handler, registry, host, port)
