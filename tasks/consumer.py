"""The worker's consumer: a message that is no task of ours goes to quarantine, and does not end the worker.

Celery's own acknowledges some malformed messages away, rejects others without a reason, which on a Redis
broker drops them, and is taken down by the rest.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import celery.worker.consumer.consumer as celerys
from amqp.exceptions import AccessRefused, NotAllowed, ResourceLocked
from celery import bootsteps
from kombu import compression
from kombu.exceptions import ContentDisallowed
from kombu.message import Message

from sinks import open_sink
from sinks.errors import SinkError
from superhero.transport.compression import ZSTD
from superhero.transport.dead_letters import Reason, sentence
from superhero.transport.topology import DEAD_QUEUE, UNROUTED_QUEUE
from tasks import quarantine
from tasks.redis_channel import CarefulChannel
from tasks.start import NameTaken

RECONNECT_FIRST_S = 0.2
RECONNECT_STEP_S = 0.3
RECONNECT_LONGEST_S = 3.0
REFUSED_S = 10.0
"""How long to wait where the broker answers and does not let us in: somebody must do something about it."""
EVENTS_WAIT_S = 0.1
"""How long an event may wait for others. Flower, which they are for, shows them by the second."""

log = logging.getLogger(__name__)


class QuarantineStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Declares where dead and unrouted messages go before the first message can be one."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, consumer: Consumer) -> None:
        """Declare; done again after every reconnection, for the broker may have lost them."""
        with consumer.connection.channel() as channel:
            for queue in (DEAD_QUEUE, UNROUTED_QUEUE):
                queue(channel).declare()


class BytesStep(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery has no types
    """Keeps py-amqp from making text of every body, which the child would only have to make bytes of again.

    Text with a single character beyond the first 65,536, a hero's emoji, takes four bytes a character.
    """

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, consumer: Consumer) -> None:
        """Tell the channel that tasks will come by; it is another after every reconnection."""
        if consumer.connection.transport.driver_type == "amqp":
            consumer.connection.default_channel.auto_decode = False


class Consumer(celerys.Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's consumer with a quarantine, and quicker to come back when its broker was away."""

    class Blueprint(celerys.Consumer.Blueprint):  # type: ignore[misc]
        """Celery's steps but native delayed delivery: 28 queues for what we never use."""

        default_steps = [  # noqa: RUF012  # Celery's own is a list, too
            *(step for step in celerys.Consumer.Blueprint.default_steps if "delayed_delivery" not in step),
            "tasks.consumer:QuarantineStep",
            "tasks.consumer:BytesStep",
            "tasks.watch:WatchStep",
            "tasks.pulse:PulseStep",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Take messages compressed as ours are, and keep them so; no others, for a small one can be huge."""
        _check_sink(kwargs["app"].conf.superhero_secret_sinks)
        # Mingle waits a second, after every reconnection, for other workers' clocks and revoked tasks.
        super().__init__(*args, **{**kwargs, "without_mingle": True})
        self.deliveries = 0
        self._flush_at = 0.0
        self._name_taken = NameTaken()
        # KeyError is one on kombu's Redis transport; from a message handler it is a malformed message.
        self._lost = tuple(
            error for error in self.connection_errors + self.channel_errors if error is not KeyError
        )
        for content_type in compression.encoders():
            compression.register(None, _refuse, content_type)
        compression.register(None, _as_it_is, ZSTD)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Message], None]:
        """Return the function that gets every message; what it raises is the message's fault, not ours."""
        handle = super().create_task_handler(*args, **kwargs)

        def guarded(message: Message) -> None:
            self.deliveries += 1
            try:
                handle(message)
            except Exception as error:
                if isinstance(error, self._lost):
                    raise
                self._set_aside(message, Reason.BAD_TASK, error)

        return guarded

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Quarantine what is not JSON, compressed otherwise than ours, or of another content type."""
        self._set_aside(message, Reason.UNDECODABLE, exc)

    def on_unknown_message(self, body: object, message: Message) -> None:
        """Quarantine what does not say for which task it is."""
        self._set_aside(message, Reason.NOT_A_TASK, ValueError("neither headers nor body name a task"))

    def on_unknown_task(self, body: object, message: Message, exc: Exception) -> None:
        """Quarantine what is for a task that this worker does not have."""
        self._set_aside(message, Reason.UNKNOWN_TASK, exc)

    def on_invalid_task(self, body: object, message: Message, exc: Exception) -> None:
        """Quarantine a task of another content type, or whose arguments or headers have the wrong shape."""
        refused = isinstance(exc, ContentDisallowed)
        self._set_aside(message, Reason.UNDECODABLE if refused else Reason.BAD_TASK, exc)

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, trying at first quickly and for ever; Celery would wait 2, 4, 6, 8, 10 s."""

        def on_error(error: BaseException, seconds: float) -> None:
            log.error("the broker at %s is away, next try in %.1f s: %s", conn.as_uri(), seconds, error)

        if conn.transport.driver_type == "redis":
            conn.transport.Channel = CarefulChannel
        while True:
            try:
                conn = conn.ensure_connection(
                    on_error,
                    self.app.conf.broker_connection_max_retries,
                    interval_start=RECONNECT_FIRST_S,
                    interval_step=RECONNECT_STEP_S,
                    interval_max=RECONNECT_LONGEST_S,
                    callback=celerys.maybe_shutdown,
                )
            except (AccessRefused, NotAllowed) as error:
                log.error(
                    "the broker at %s does not let us in: %s; check user, password and vhost in BROKER_URL "
                    "(superhero doctor says more); next try in %.0f s",
                    conn.as_uri(),
                    error.reply_text.rstrip("."),
                    REFUSED_S,
                )
                _wait(REFUSED_S)
            else:
                self.first_connection_attempt = False
                return conn

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Wait, or end, when the worker's name is another's; Celery tries again at once, and for ever."""
        if isinstance(exc, ResourceLocked):
            # Celery forgets the callback when everything has begun for the first time.
            self._name_taken.wait(self.hostname, has_begun=self.init_callback is None)
        super().on_connection_error_after_connected(exc)

    def connection_for_write(self, url: str | None = None, heartbeat: float | None = None) -> Any:
        """Return the connection for events: they are Flower's, and not worth waiting for a confirm of each.

        With confirms a worker's parent spends a third of its time on them. Records take other connections.
        """
        connection = self.app.connection_for_write(url=url, heartbeat=heartbeat)
        connection.transport_options = {**connection.transport_options, "confirm_publish": False}
        return self.ensure_connected(connection)

    def on_send_event_buffered(self) -> None:
        """Send events by the dozen, or after a while; Celery would send each as soon as it can."""
        now = time.monotonic()
        # By the clock and not by a mark that the flush takes away: a reconnection forgets all timers.
        if self.hub is not None and now >= self._flush_at:
            self._flush_at = now + EVENTS_WAIT_S
            self.hub.call_later(EVENTS_WAIT_S, self._flush_events)

    def stop(self) -> None:
        """Stop; events that wait for others are sent before, unless the broker is gone."""
        with suppress(*self._lost):
            self._flush_events()
        super().stop()

    def _set_aside(self, message: Message, reason: Reason, error: Exception) -> None:
        quarantine.set_aside(message, reason, sentence(error), self._lost)


def _check_sink(url: str) -> None:
    """Let a worker whose sink cannot be opened not begin: it would take every record for a bad one."""
    try:
        open_sink(url).close()
    except SinkError as error:
        # SystemExit alone ends a worker with a sentence instead of a traceback.
        raise SystemExit(f"SINKS cannot be used: {error}") from error


def _wait(seconds: float) -> None:
    """Wait, unless the worker is to end."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        celerys.maybe_shutdown()
        time.sleep(0.1)


def _refuse(body: object) -> bytes:
    raise ValueError(f"messages are taken uncompressed, or compressed as {ZSTD}")


def _as_it_is(body: bytes) -> bytes:
    return body  # tasks/bodies.py sees to it
