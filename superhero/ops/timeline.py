"""What is seen of a run while it goes on: queue depth, counters, deliveries, and what was done to it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx

from superhero.events import CHANNELS
from superhero.ops.broker_counts import BrokerCounts
from superhero.ops.depths import DepthCurve
from superhero.ops.line_count import LineCount
from superhero.ops.run import PipelineRun
from superhero.ops.task_events import Happened, TaskEvents
from superhero.ops.watching import Watching

_EVERY_S = 0.1

Curve = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Seen:
    """A run over time; every moment is in seconds since the run began to be watched.

    depths   messages ready in the channels' queues
    curves   records so far: logged, published (confirmed by the broker), delivered to workers (again, where
             a message was), acknowledged by them, written
    broker   messages so far as RabbitMQ's management API counts them: publish, deliver, ack, redeliver;
             empty where that API does not answer
    marks    what was done to the run
    shares   records that each worker acknowledged
    """

    depths: list[tuple[float, int]] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)
    broker: dict[str, Curve] = field(default_factory=dict)
    marks: list[tuple[float, str]] = field(default_factory=list)
    shares: dict[str, int] = field(default_factory=dict)


class Timeline(Watching):
    """Watches a run whose server has started, from when it is entered. A context manager."""

    def __init__(self, run: PipelineRun, broker_url: str, management_url: str) -> None:
        super().__init__("timeline")
        self._health_url = run.health_url
        self._rows = LineCount(run.records_dir, "*.jsonl")
        self._curve = DepthCurve(broker_url, CHANNELS, _EVERY_S)
        self._events = TaskEvents(broker_url)
        self._broker = BrokerCounts(broker_url, management_url)
        self._stack = ExitStack()
        self._began_wall_s = 0.0
        self._counted: dict[str, Curve] = {"logged": [], "published": [], "written": []}
        self._marks: list[tuple[float, str]] = []

    def start(self) -> None:
        """Begin to watch."""
        self._stack.enter_context(self._events)  # first: the others shall not wait for it to be ready
        self._began_wall_s = time.time()
        super().start()
        self._stack.enter_context(self._curve)
        self._stack.enter_context(self._broker)

    def stop(self) -> None:
        """End, and whatever else watches for it."""
        with self._stack:
            super().stop()

    def mark(self, what: str) -> None:
        """Note that something was done to the run now."""
        self._marks.append((round(time.monotonic() - self._began, 2), what))

    @property
    def drained(self) -> bool:
        """Whether nothing was ready in the queues when they were last looked at."""
        return bool(self._curve.samples) and self._curve.samples[-1][1] == 0

    def seen(self) -> Seen:
        """Return what was seen so far."""
        curves = {
            "logged": self._counted["logged"],
            "published": self._counted["published"],
            "delivered": self._added_up(self._events.delivered),
            "acknowledged": self._added_up(self._events.acknowledged),
            "written": self._counted["written"],
        }
        return Seen(
            list(self._curve.samples), curves, self._broker.curves, list(self._marks), self._events.shares()
        )

    def _added_up(self, happened: Iterable[Happened]) -> Curve:
        total, curve = 0, [(0.0, 0.0)]
        for each in sorted(happened, key=lambda each: each.time_s):
            total += each.records
            curve.append((round(max(each.time_s - self._began_wall_s, 0.0), 3), total))
        return curve

    def _watch(self) -> None:
        with httpx.Client(timeout=2.0, trust_env=False) as http:
            while not self._over.wait(_EVERY_S):
                at = round(time.monotonic() - self._began, 2)
                self._counted["written"].append((at, self._rows.look()))
                try:
                    told = http.get(self._health_url).raise_for_status().json()["transport"]
                except httpx.HTTPError:
                    continue  # the server is busy or away: the curve has a gap there
                self._counted["logged"].append((at, told["emitted"]))
                self._counted["published"].append((at, told["confirmed"]))


def rates(curve: Sequence[tuple[float, float]], until_s: float, every_s: float) -> Curve:
    """Return how much was added per second, for each stretch of `every_s` seconds, from a running total."""
    points, before, number = [], 0.0, 0
    for step in range(1, int(until_s / every_s) + 2):
        end = step * every_s
        now = before
        while number < len(curve) and curve[number][0] <= end:
            now = curve[number][1]
            number += 1
        points.append((round(end, 3), round((now - before) / every_s, 2)))
        before = now
    return points
