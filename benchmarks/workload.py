"""The one record that everything here logs, and what everybody but us makes of it. Standard library only.

Peers run in an environment of their own, without our package; so that all do the same work, the record, the
row that it becomes and the handler that hands rows to a library are here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Row = dict[str, Any]

EVENT = "order.paid"


def log_order(log: logging.Logger, number: int) -> None:
    """Log one record; encoded as an envelope it takes about 350 bytes."""
    log.info(
        "order %d of customer %s is paid",
        number,
        "c-0042317",
        extra={
            "event": EVENT,
            "payload": {
                "order": number,
                "customer": "c-0042317",
                "amount_cents": 4200,
                "currency": "EUR",
                "items": 3,
                "shop": "harbour-12",
            },
        },
    )


class RowHandler(logging.Handler):
    """Makes a row of each record and hands them on, `batch` at a time, in the thread that logs."""

    def __init__(self, producer: str, batch: int, send: Callable[[list[Row]], object]) -> None:
        super().__init__()
        self._producer = producer
        self._batch = batch
        self._send = send
        self._held: list[Row] = []
        self._number = 0
        self._second = (-1, "")

    def emit(self, record: logging.LogRecord) -> None:
        """Hold the record's row; send when the batch is full."""
        fields = record.__dict__
        self._held.append(
            {
                "record_id": f"{self._producer}:{self._number}",
                "channel": record.name,
                "time": self._time(record.created),
                "level": record.levelname,
                "logger": record.name,
                "event": fields.get("event"),
                "message": record.getMessage(),
                "payload": fields.get("payload"),
            }
        )
        self._number += 1
        if len(self._held) >= self._batch:
            self.flush()

    def flush(self) -> None:
        """Send what is held."""
        if self._held:
            held, self._held = self._held, []
            self._send(held)

    def _time(self, created: float) -> str:
        second, text = self._second
        whole, micros = divmod(round(created * 1e6), 1_000_000)
        if whole != second:
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole))
            self._second = (whole, text)
        return f"{text}.{micros:06d}Z"


@contextmanager
def logger(name: str, handler: logging.Handler) -> Iterator[logging.Logger]:
    """Yield a logger whose records go to `handler` and nowhere else."""
    log = logging.getLogger(name)
    log.propagate = False
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    try:
        yield log
    finally:
        log.removeHandler(handler)
