"""Notice a worker that lives and no longer consumes, and make it consume again.

Seen after a broker's restart: the process lives, its connection looks open, its queues fill up. A thread
looks from outside, over a connection of its own: messages are ready, nothing is in hand and nothing came.
First the consumer is made to connect anew; when that does not help, perhaps because its thread hangs, the
worker replaces itself by a new one. What it held is delivered again.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from celery import bootsteps
from celery.worker import state
from kombu import Connection

LOOK_EVERY_S = 5.0
_TIMEOUT_S = 3.0
RECONNECT_AFTER = 2
"""So many looks in a row without a delivery, though messages wait, and the consumer connects anew."""
REPLACE_AFTER = 5
"""So many, and the worker replaces itself."""

log = logging.getLogger(__name__)


class Stall:
    """Counts looks in a row that found messages waiting and the worker idle. Pure."""

    def __init__(self) -> None:
        self.looks = 0
        self._deliveries = -1

    def see(self, ready: int, in_hand: int, deliveries: int) -> int:
        """Take a look in: how many messages wait, are in hand, and ever came. Return `looks`."""
        idle = ready > 0 and in_hand == 0 and deliveries == self._deliveries
        self.looks = self.looks + 1 if idle else 0
        self._deliveries = deliveries
        return self.looks


class WatchStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Runs the watch for as long as the worker lives, also while its consumer tries to connect."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        """Make the watch; it begins with the first start of the consumer."""
        super().__init__(consumer, **options)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, consumer: Any) -> None:
        """Begin to watch, once; the consumer starts anew after every reconnection."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, args=(consumer,), name="watch", daemon=True)
            self._thread.start()

    def stop(self, consumer: Any) -> None:
        """Go on: this is also called before a reconnection."""

    def shutdown(self, consumer: Any) -> None:
        """End the watch."""
        self._over.set()

    def _watch(self, consumer: Any) -> None:
        stall = Stall()
        while not self._over.wait(LOOK_EVERY_S):
            if consumer.blueprint.state in (bootsteps.CLOSE, bootsteps.TERMINATE):
                return
            waiting = _ready(consumer)
            in_hand = len(state.reserved_requests) + len(state.active_requests)
            looks = stall.see(waiting, in_hand, consumer.deliveries)
            if looks == RECONNECT_AFTER:
                log.error("%d messages wait and none comes: the consumer connects anew", waiting)
                _call_soon(consumer, _break_connection)
            elif looks >= REPLACE_AFTER:
                log.critical("%d messages wait and none comes: the worker replaces itself", waiting)
                replace_process()


def replace_process() -> None:
    """Become a new worker with the same command line; the children end with the old one."""
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _ready(consumer: Any) -> int:
    """Return how many messages wait in the queues that the worker consumes; 0 while the broker is away."""
    connection = consumer.app.connection_for_read(connect_timeout=_TIMEOUT_S)
    connection.transport_options = {**connection.transport_options, **_timeouts(connection)}
    try:
        with connection:
            return sum(_depth(connection, queue) for queue in consumer.app.amqp.queues.consume_from)
    except connection.connection_errors as error:
        log.debug("no look at the queues: %s", error)
        return 0


def _depth(connection: Connection, queue: str) -> int:
    # A passive declare of a queue that is not there closes its channel, so each look has one of its own.
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except connection.channel_errors:
            return 0


def _timeouts(connection: Connection) -> dict[str, float]:
    if connection.transport.driver_type == "redis":
        return {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _TIMEOUT_S}
    return {"read_timeout": _TIMEOUT_S, "write_timeout": _TIMEOUT_S}


def _call_soon(consumer: Any, function: Callable[[], None]) -> None:
    if consumer.hub is not None:
        consumer.hub.call_soon(function)


def _break_connection() -> None:
    """Do what a lost connection does to the event loop: end it, so that the consumer connects anew."""
    raise ConnectionResetError("nothing is delivered any more")
