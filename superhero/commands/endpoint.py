"""Serve a registry's metrics over HTTP, in a thread of its own, for as long as a command runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, start_http_server

from superhero.errors import ServiceError


@contextmanager
def endpoint(registry: CollectorRegistry, host: str, port: int) -> Iterator[int]:
    """Yield the port, which is a free one for 0. Raise ServiceError when it cannot be had."""
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise ServiceError(f"cannot show metrics on {host}:{port}: {error}; give another port") from error
    try:
        yield int(server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
