"""What a worker sees to as it starts: the channels of -Q, a name that nobody has, a line that it is ready.

A worker's name is the name of an exclusive queue of RabbitMQ's, its mailbox. Celery gives every worker of a
host the same name, so that the second one would try for ever to get the first one's mailbox. Here the second
is celery-2@host, and only who was given its name by --hostname cannot take another. A Redis broker knows no
exclusive queues: there, two workers may go by one name and both work, and Flower shows them as one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

from amqp.exceptions import ResourceLocked
from celery import Celery, signals
from celery.exceptions import WorkerShutdown
from celery.utils.nodenames import default_nodename, nodesplit
from kombu import Connection

from sinks import shown
from superhero.plural import counted
from superhero.transport.topology import UNROUTED_NAME
from tasks import shutdown
from tasks.registry import REGISTRY
from tasks.watch import replace_process

NAME_PATIENCE_S = 30.0
"""How long a worker waits for its name: a broker knows only after two heartbeats that an owner is gone."""

_LOOK_S = 3.0
_TRY_EVERY_S = 2.0
_MOST_ON_A_HOST = 1000

log = logging.getLogger(__name__)


class NameTaken:
    """What a worker does whose mailbox belongs to another."""

    def __init__(self) -> None:
        self._since: float | None = None

    def wait(self, name: str, has_begun: bool) -> None:
        """Wait, to try once more; or end the process, or let it take another name.

        One that has begun already only waits: its mailbox belongs to its own connection, which was cut and
        which the broker takes for alive.
        """
        now = time.monotonic()
        if self._since is None or has_begun:
            self._since = now
        if not has_begun and name in _default_names():
            log.warning("another worker became %s at the same time: looking for another name", name)
            replace_process()
        if now - self._since > NAME_PATIENCE_S:
            log.critical(
                "another worker is called %s, and each needs a name of its own: add --hostname other@%%h",
                name,
            )
            raise WorkerShutdown(1)
        log.warning("another worker is called %s; trying again in %.0f s", name, _TRY_EVERY_S)
        shutdown.wait(_TRY_EVERY_S)


def free_name(app: Celery, wanted: str) -> str:
    """Return `wanted` or the first default name that no worker has; `wanted` also when nobody can tell."""
    connection = app.connection_for_read(connect_timeout=_LOOK_S)
    if connection.transport.driver_type != "amqp":
        return wanted
    try:
        with connection:
            connection.connect()
            return next((name for name in _default_names() if not _is_taken(app, connection, name)), wanted)
    except connection.connection_errors as error:
        log.debug("nobody knows whether there is a worker called %s: %s", wanted, error)
        return wanted


def unknown_channels(app: Celery, names: Iterable[str]) -> list[str]:
    """Return the names that are no queue of this worker's."""
    known = {queue.name for queue in app.conf.task_queues}
    return [name for name in names if name not in known]


def _default_names() -> list[str]:
    first = str(default_nodename(None))
    name, host = nodesplit(first)
    return [first, *(f"{name}-{number}@{host}" for number in range(2, _MOST_ON_A_HOST))]


def _is_taken(app: Celery, connection: Connection, name: str) -> bool:
    # An error closes its channel, so each look has one of its own.
    with connection.channel() as channel:
        try:
            channel.queue_declare(queue=app.control.mailbox.get_queue(name).name, passive=True)
        except ResourceLocked:
            return True
        except connection.channel_errors:
            return False
    return False


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _before(instance: Any, options: dict[str, Any], **_: Any) -> None:
    """Check the channels that were asked for, and choose a name where none was given."""
    app = instance.app
    for option in ("queues", "exclude_queues"):
        asked = options.get(option) or []
        unknown = unknown_channels(app, asked.split(",") if isinstance(asked, str) else asked)
        if unknown:
            known = ", ".join(queue.name for queue in app.conf.task_queues)
            # SystemExit alone ends a worker with a sentence instead of a traceback.
            raise SystemExit(
                f"no channel is called {', '.join(unknown)}; add it to CHANNELS or take one of: {known}"
            )
    if instance.hostname == default_nodename(None):
        instance.hostname = free_name(app, instance.hostname)


@signals.worker_ready.connect  # type: ignore[untyped-decorator]  # Celery has no types
def _ready(sender: Any, **_: Any) -> None:
    """Say so, at a level that is shown when nobody asked for more."""
    app = sender.app
    channels = [name for name in app.amqp.queues.consume_from if name != UNROUTED_NAME]
    log.warning(
        "ready as %s: %s, %s, writing to %s",
        sender.hostname,
        counted(len(channels), "channel"),
        counted(REGISTRY.count(), "pipeline"),
        shown(app.conf.superhero_secret_sinks),
    )
