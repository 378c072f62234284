"""Notice a worker that lives and no longer consumes, and make it consume again.

Seen after a broker's restart: the process lives, its connection looks open, its queues fill up. A thread
looks from outside, over a connection of its own. Messages wait, none is in hand and none comes: then the
consumer is made to connect anew. That does not help, or the event loop stands still though the broker is
there: then the worker replaces itself by a new one. What it held is delivered again.

A connection whose other end is silent is found by its heartbeat (celeryconfig.py).
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from dataclasses import dataclass
from enum import Enum
from typing import Any

from celery import bootsteps
from celery.worker import state
from kombu import Connection

LOOK_EVERY_S = 5.0
_TIMEOUT_S = 3.0
RECONNECT_AFTER = 2
"""So many looks in a row that find messages waiting and the worker idle, and the consumer connects anew."""
REPLACE_AFTER = 5
"""So many, or so many that find the event loop standing still, and the worker replaces itself."""

log = logging.getLogger(__name__)


class Verdict(Enum):
    """What a look leads to."""

    FINE = "fine"
    RECONNECT = "the consumer connects anew"
    REPLACE = "the worker replaces itself"


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen: messages that wait, that are in hand, that ever came, and turns of the event loop."""

    ready: int
    in_hand: int
    deliveries: int
    turns: int


class Stall:
    """Judges looks in a row. Pure."""

    def __init__(self) -> None:
        self._last: Look | None = None
        self._idle = 0
        self._frozen = 0

    def judge(self, look: Look | None) -> Verdict:
        """Take a look in; None when the broker did not answer, which excuses everything."""
        last, self._last = self._last, look
        if look is None or last is None:
            self._idle = self._frozen = 0
            return Verdict.FINE
        idle = look.ready > 0 and look.in_hand == 0 and look.deliveries == last.deliveries
        self._idle = self._idle + 1 if idle else 0
        self._frozen = self._frozen + 1 if look.turns == last.turns else 0
        if max(self._idle, self._frozen) >= REPLACE_AFTER:
            return Verdict.REPLACE
        return Verdict.RECONNECT if self._idle == RECONNECT_AFTER else Verdict.FINE


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
        stall, turns = Stall(), _Turns(consumer.hub)
        while not self._over.wait(LOOK_EVERY_S):
            if consumer.blueprint.state in (bootsteps.CLOSE, bootsteps.TERMINATE):
                return
            look = _look(consumer, turns)
            verdict = stall.judge(look)
            if verdict is not Verdict.FINE:
                log.critical("nothing is consumed, %s: %s", look, verdict.value)
            if verdict is Verdict.REPLACE:
                replace_process()
            elif verdict is Verdict.RECONNECT and consumer.hub is not None:
                consumer.hub.call_soon(_break_connection)


class _Turns:
    """Counts whether the event loop still turns, by asking it to count."""

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self._count = 0
        self._asked = False

    def count(self) -> int:
        """Return the count and ask for the next; a worker without an event loop always turns."""
        if self._hub is None:
            self._count += 1
        elif not self._asked:
            self._asked = True
            self._hub.call_soon(self._turn)
        return self._count

    def _turn(self) -> None:
        self._count += 1
        self._asked = False


def replace_process() -> None:
    """Become a new worker with the same command line; the children end with the old one."""
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _look(consumer: Any, turns: _Turns) -> Look | None:
    """Look at the queues that the worker consumes, and at itself; None while the broker is away."""
    connection = consumer.app.connection_for_read(connect_timeout=_TIMEOUT_S)
    connection.transport_options = {**connection.transport_options, **_timeouts(connection)}
    try:
        with connection:
            ready = sum(_depth(connection, queue) for queue in consumer.app.amqp.queues.consume_from)
    except connection.connection_errors as error:
        log.debug("no look at the queues: %s", error)
        return None
    in_hand = len(state.reserved_requests) + len(state.active_requests)
    return Look(ready, in_hand, consumer.deliveries, turns.count())


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


def _break_connection() -> None:
    """Do what a lost connection does to the event loop: end it, so that the consumer connects anew."""
    raise ConnectionResetError("nothing is delivered any more")
