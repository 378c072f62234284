"""Time logging calls through a handler, or several in turns; print percentiles as JSON, one object each."""

from __future__ import annotations

import argparse
import json
import logging
import queue
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import Any

from benchmarks.timing import time_calls
from benchmarks.workload import Row, RowHandler, log_order, logger
from superhero.transport import CeleryHandler

_WARM_UP = 500

Opener = Callable[[str], AbstractContextManager[logging.Handler]]


def main() -> None:
    """Open the handlers, warm up, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("handlers", choices=sorted(_HANDLERS), nargs="+")
    parser.add_argument("--broker-url", default="")
    parser.add_argument("--count", type=int, required=True)
    options = parser.parse_args()
    with ExitStack() as stack:
        logs = []
        for name in options.handlers:
            handler = stack.enter_context(_HANDLERS[name](options.broker_url))
            logs.append(stack.enter_context(logger(f"bench.calls.{name}", handler)))
        for log in logs:
            for number in range(_WARM_UP if options.count > _WARM_UP else 1):
                log_order(log, number)
        print(json.dumps({"calls": time_calls(logs, options.count)}), flush=True)


@contextmanager
def _null(broker_url: str) -> Iterator[logging.Handler]:
    yield logging.NullHandler()


def _queue(make_queue: Callable[[], Any]) -> Opener:
    @contextmanager
    def opened(broker_url: str) -> Iterator[logging.Handler]:
        """Yield the standard library's way out of the calling thread, with nothing to do behind it."""
        records = make_queue()
        listener = QueueListener(records, logging.NullHandler())
        listener.start()
        try:
            yield QueueHandler(records)
        finally:
            listener.stop()

    return opened


@contextmanager
def _ours(broker_url: str) -> Iterator[logging.Handler]:
    with tempfile.TemporaryDirectory() as spool:
        handler = CeleryHandler(broker_url=broker_url, spool_dir=Path(spool), flush_timeout_s=1.0)
        with closing(handler):
            yield handler


@contextmanager
def _ours_in_memory(broker_url: str) -> Iterator[logging.Handler]:
    with closing(CeleryHandler(broker_url=broker_url, flush_timeout_s=1.0)) as handler:
        yield handler


def _celery(*, confirm: bool) -> Opener:
    @contextmanager
    def opened(broker_url: str) -> Iterator[logging.Handler]:
        from benchmarks.programs.plain_celery import app, write

        app.conf.update(broker_url=broker_url, broker_transport_options={"confirm_publish": confirm})
        with app.producer_pool.acquire(block=True) as producer:

            def send(rows: list[Row]) -> None:
                for row in rows:
                    write.apply_async((row,), producer=producer)

            yield RowHandler("calls", 1, send)

    return opened


_HANDLERS: dict[str, Opener] = {
    "null": _null,
    "queue": _queue(queue.Queue),
    "simple-queue": _queue(queue.SimpleQueue),
    "ours": _ours,
    "ours-in-memory": _ours_in_memory,
    "celery": _celery(confirm=False),
    "celery-confirms": _celery(confirm=True),
}


if __name__ == "__main__":
    main()
