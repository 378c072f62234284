"""Listen to what Celery's workers say of tasks: what was delivered to whom and acknowledged, and when.

Workers send these events for Flower anyway. What one could not send before it was killed is missing.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from celery.events.event import get_exchange
from kombu import Connection, Consumer, Message, Queue

from superhero.ops.watching import Watching
from superhero.transport.tls import secure_connection

_LOOK_EVERY_S = 0.2
_READY_TIMEOUT_S = 10.0
_SIZE = re.compile(r", (\d+) from ")


@dataclass(frozen=True, slots=True)
class Happened:
    """A batch was delivered to a worker, or acknowledged by it; `time_s` is unix time by its clock."""

    time_s: float
    worker: str
    records: int


class TaskEvents(Watching):
    """Listens from a thread of its own while it is entered. A task that names no size counts as one."""

    def __init__(self, broker_url: str) -> None:
        super().__init__("task-events")
        self._broker_url = broker_url
        self._sizes: dict[str, int] = {}
        self._ready = threading.Event()
        self.delivered: list[Happened] = []
        self.acknowledged: list[Happened] = []

    def start(self) -> None:
        """Begin to listen."""
        super().start()
        self._ready.wait(_READY_TIMEOUT_S)

    def shares(self) -> dict[str, int]:
        """Return how many records each worker acknowledged, by the worker's name."""
        counted: dict[str, int] = {}
        for each in self.acknowledged:
            counted[each.worker] = counted.get(each.worker, 0) + each.records
        return dict(sorted(counted.items()))

    def _watch(self) -> None:
        while not self._over.is_set():
            try:
                with secure_connection(self._broker_url, connect_timeout=2) as connection:
                    self._drain(connection)
            except secure_connection(self._broker_url).connection_errors:
                self._over.wait(_LOOK_EVERY_S)  # the broker is away: what happens meanwhile is not heard of

    def _drain(self, connection: Connection) -> None:
        queue = Queue(
            f"celeryev.{uuid4()}",
            exchange=get_exchange(connection),
            routing_key="task.#",
            auto_delete=True,
            durable=False,
        )
        with Consumer(connection, [queue], callbacks=[self._take], no_ack=True, accept=["json"]):
            self._ready.set()
            while not self._over.is_set():
                try:
                    connection.drain_events(timeout=_LOOK_EVERY_S)
                except TimeoutError:
                    continue

    def _take(self, body: Any, message: Message) -> None:
        for event in body if isinstance(body, list) else [body]:
            self._note(event)

    def _note(self, event: Mapping[str, Any]) -> None:
        task_id, worker = str(event.get("uuid")), str(event.get("hostname", "")).partition("@")[0]
        at = float(event.get("timestamp", time.time()))
        if event.get("type") == "task-received":
            size = _SIZE.search(str(event.get("args")))
            self._sizes[task_id] = int(size[1]) if size else 1
            self.delivered.append(Happened(at, worker, self._sizes[task_id]))
        elif event.get("type") == "task-succeeded":
            self.acknowledged.append(Happened(at, worker, self._sizes.get(task_id, 1)))
