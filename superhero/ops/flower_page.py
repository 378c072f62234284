"""Flower as `superhero flower` runs it: its broker tab shows every queue that holds records.

By itself Flower shows the queues that workers consume at the moment: neither quarantine, nor a channel that
nobody consumes, which are those to look at. Run as a program, with Flower's settings in the environment.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator

from celery.bin.celery import main
from flower import urls
from flower.views.broker import BrokerView
from tornado.web import url

from superhero.transport.topology import DEAD_NAME, UNROUTED_NAME

_ARGV = ["celery", "-A", "tasks", "flower"]


class EveryQueue(Collection[str]):
    """Holds the name of every queue but those by which workers and Flower speak with each other."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known

    def __contains__(self, name: object) -> bool:
        text = str(name)
        return not (text.startswith("celeryev") or text.endswith("celery.pidbox"))

    def __iter__(self) -> Iterator[str]:
        # What to ask a Redis broker for, which cannot list its queues.
        return iter(sorted({*self._known, UNROUTED_NAME, DEAD_NAME}))

    def __len__(self) -> int:
        return len(list(iter(self)))


class QueuesView(BrokerView):  # type: ignore[misc]  # Flower has no types
    """Flower's broker tab with every queue."""

    def get_active_queue_names(self) -> EveryQueue:
        """Return what Flower picks from the queues that the broker lists."""
        return EveryQueue(super().get_active_queue_names())


def run() -> None:
    """Run Flower until it is told to stop."""
    urls.handlers[:] = [
        url(handler.regex.pattern, QueuesView, name=handler.name)
        if getattr(handler, "handler_class", None) is BrokerView
        else handler
        for handler in urls.handlers
    ]
    sys.argv[:] = _ARGV
    main()


if __name__ == "__main__":
    run()
