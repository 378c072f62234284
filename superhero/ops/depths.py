"""Watch how many messages wait on the broker, as a curve over time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from kombu import Connection

from superhero.ops.reach import reach
from superhero.ops.watching import Watching
from superhero.transport.tls import advice, secure_connection
from superhero.transport.topology import DEAD_NAME, UNROUTED_NAME

_BARS = "▁▂▃▄▅▆▇█"


def depth(connection: Connection, queue: str) -> int:
    """Return how many messages are ready in `queue`; 0 when the broker does not know it."""
    # A passive declare of an unknown queue closes its channel, so each look has a channel of its own.
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except connection.channel_errors:
            return 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many messages are ready in each queue that has any; `error` says why the broker did not answer."""

    queues: Mapping[str, int] = field(default_factory=dict)
    error: str = ""


def waiting(broker_url: str, channels: Iterable[str], timeout_s: float = 2.0) -> Waiting:
    """Look once how many messages wait in the channels' queues and among the unrouted. Never raises.

    What a worker holds in its hands does not wait.
    """
    answer = reach(broker_url, timeout_s)
    if not answer.reachable:
        return Waiting(error=answer.error)
    with secure_connection(broker_url, connect_timeout=timeout_s) as connection:
        try:
            found = {queue: depth(connection, queue) for queue in sorted({*channels, UNROUTED_NAME})}
        except connection.connection_errors as error:
            return Waiting(error=advice(error))
    return Waiting({queue: count for queue, count in found.items() if count})


def sparkline(values: Sequence[float], width: int = 32) -> str:
    """Draw values as a line of bars, `width` of them at most, scaled to the largest."""
    if not values or max(values) == 0:
        return _BARS[0] * min(len(values), width)
    step = max(len(values) / width, 1.0)
    picked = [
        max(values[int(i * step) : max(int((i + 1) * step), int(i * step) + 1)])
        for i in range(min(len(values), width))
    ]
    return "".join(_BARS[round(value / max(values) * (len(_BARS) - 1))] for value in picked)


class DepthCurve(Watching):
    """Samples the depth of the channels' queues every `every_s` seconds, in a thread of its own."""

    def __init__(self, broker_url: str, channels: Sequence[str], every_s: float = 0.25) -> None:
        super().__init__("queue-depth")
        self._broker_url = broker_url
        self._queues = (*channels, UNROUTED_NAME)
        self._every_s = every_s
        self.samples: list[tuple[float, int]] = []
        """(seconds since the start, messages ready in all the channels' queues)."""

    def _watch(self) -> None:
        while not self._over.is_set():
            try:
                with secure_connection(self._broker_url, connect_timeout=2) as connection:
                    self._sample(connection)
            except secure_connection(self._broker_url).connection_errors:
                self._over.wait(self._every_s)  # the broker is away: the curve has a gap there

    def _sample(self, connection: Connection) -> None:
        while not self._over.is_set():
            total = sum(depth(connection, queue) for queue in self._queues)
            self.samples.append((round(time.monotonic() - self._began, 2), total))
            self._over.wait(self._every_s)


def dead_letters(broker_url: str) -> int:
    """Return how many dead letters stand in quarantine."""
    with secure_connection(broker_url, connect_timeout=5) as connection:
        return depth(connection, DEAD_NAME)
