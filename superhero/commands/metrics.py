"""`superhero metrics`: the whole pipeline for Prometheus, by one endpoint."""

from __future__ import annotations

import signal
import threading

import click
from prometheus_client import CollectorRegistry

from superhero.commands.announce import announce
from superhero.commands.endpoint import endpoint
from superhero.config import from_env
from superhero.ops.exposition import PipelineCollector
from superhero.ops.vitals import Vitals

PORT = 9125


@click.command(
    epilog="\b\nExamples:\n  superhero metrics\n  superhero metrics --host 0.0.0.0 --port 9125\n"
    "  curl -s http://127.0.0.1:9125/metrics"
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="Port, 0 for a free one."
)
def command(host: str, port: int) -> None:
    """Show records, queues, workers, producers and lag at /metrics until Ctrl-C or SIGTERM.

    One is enough for a pipeline, however many servers and workers it has: it reads what they all say. It asks
    for no password, and shows figures, names of channels and hosts: keep it on loopback or a network of your
    own. What each figure means: docs/monitoring.md.
    """
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    registry = CollectorRegistry()
    with Vitals(from_env()) as vitals:
        registry.register(PipelineCollector(vitals))
        with endpoint(registry, host, port) as at:
            announce(f"metrics at http://{host}:{at}/metrics")
            over.wait()
