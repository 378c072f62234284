"""What `superhero doctor` says of one thing, and of the queues."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from superhero.ops.our_queues import Depth
from superhero.plural import counted
from superhero.transport.topology import DEAD_NAME

State = Literal["ok", "warning", "missing"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `advice` says what it means when it is not ok, and how to put it right."""

    name: str
    state: State
    found: str
    advice: str = ""


def queue_checks(depths: Sequence[Depth], known: Container[str]) -> Iterator[Check]:
    """Yield how each queue stands; `known` are the channels that a worker consumes without being told."""
    for depth in depths:
        if depth.waiting is not None:
            is_known = depth.name in known
            yield _queue(depth.name, depth.waiting, depth.consumers or 0, is_known=is_known)
    undeclared = ", ".join(depth.name for depth in depths if depth.waiting is None)
    if undeclared:
        text = f"not declared yet: {undeclared}"
        yield Check(
            "further queues", "ok", text, "nothing to do: the first publisher or worker declares them"
        )


def _queue(name: str, waiting: int, consumers: int, *, is_known: bool) -> Check:
    text = f"{waiting:,} waiting, {counted(consumers, 'consumer')}"
    if name == DEAD_NAME:
        advice = "could not be processed: superhero quarantine list" if waiting else ""
    elif consumers or not waiting:  # an empty queue waits for nobody
        advice = ""
    elif is_known:
        advice = "they wait and nobody consumes them: celery -A tasks worker"
    else:
        advice = f"they wait and nobody consumes them: add {name} to CHANNELS, then celery -A tasks worker"
    return Check(f"queue {name}", "warning" if advice else "ok", text, advice)
