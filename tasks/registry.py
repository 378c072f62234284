"""Register pipelines: pure functions from an envelope and its event to writes.

A pipeline is one small file in tasks/pipelines, found by being there:

    @pipeline(event="game.attack")
    def attacks(envelope: Envelope, event: AttackMade) -> Iterable[Write]: ...

It must give the same writes whenever it is given the same record, for a record may come more than once. A
step, `@after_write(...)`, is for what must not happen before a record is safe: it runs once the writes of
the whole batch are, may do I/O, and must bear being repeated.

Both are called with an envelope and its event; one that cannot be is refused as it is registered. What wants
every record of every channel alike may take all of a batch at once instead, which is several times as fast:

    @whole_batch
    def records(envelopes: Sequence[Envelope]) -> Iterable[Write]: ...

It knows no event, and must be able to make something of any envelope.

The event is the dataclass of superhero.events that goes by the envelope's event name; for a name that is not
there it is the payload as it came, a mapping or None.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from sinks.base import Write
from superhero.events import EVENTS
from superhero.transport.envelope import Envelope
from tasks.blame import BlamedError, check

ANY = "*"
"""Matches every channel, or every event and plain records too."""

_MOST_CHOSEN = 10_000

Pipeline = Callable[[Envelope, Any], Iterable[Write]]
Step = Callable[[Envelope, Any], None]
WholeBatch = Callable[[Sequence[Envelope]], Iterable[Write]]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class _Registered(Generic[F]):
    function: F
    channel: str
    event: str

    def wants(self, envelope: Envelope) -> bool:
        return self.channel in (ANY, envelope.channel) and self.event in (ANY, envelope.event)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is to be done about the records of one channel and event."""

    pipelines: Sequence[Pipeline]
    steps: Sequence[Step]
    is_checked: bool
    """Whether there is an event that the payload must fit, or a pipeline that needs it."""


class Registry:
    """Pipelines and steps, in the order in which they were registered."""

    def __init__(self) -> None:
        self._pipelines: list[_Registered[Pipeline]] = []
        self._whole_batches: list[WholeBatch] = []
        self._steps: list[_Registered[Step]] = []
        # Which of them want a record of this channel and event; asked for each record.
        self._chosen: dict[tuple[str, str | None], _Chosen] = {}

    def pipeline(self, *, channel: str = ANY, event: str = ANY) -> Callable[[F], F]:
        """Register the decorated function for the records of `channel` and `event`."""

        def register(function: F) -> F:
            check(function)
            self._pipelines.append(_Registered(function, channel, event))
            self._chosen.clear()
            return function

        return register

    def whole_batch(self, function: WholeBatch) -> WholeBatch:
        """Register a function for all records of every batch, whatever their channel and event."""
        self._whole_batches.append(function)
        return function

    def after_write(self, *, channel: str = ANY, event: str = ANY) -> Callable[[F], F]:
        """Register the decorated function to run once the records of its batch are safe."""

        def register(function: F) -> F:
            check(function)
            self._steps.append(_Registered(function, channel, event))
            self._chosen.clear()
            return function

        return register

    def channels(self) -> set[str]:
        """Return the channels that something was registered for by name."""
        of_pipelines = {each.channel for each in self._pipelines}
        of_steps = {each.channel for each in self._steps}
        return (of_pipelines | of_steps) - {ANY}

    def writes(self, envelope: Envelope) -> Sequence[Write]:
        """Return what the pipelines make of a record, but for those that take whole batches.

        A payload that does not fit its event comes out as it is; what a pipeline raises, as a BlamedError.
        """
        chosen = self._for(envelope)
        if not chosen.is_checked:
            return ()
        event = event_of(envelope)
        writes: list[Write] = []
        for pipeline in chosen.pipelines:
            try:
                writes.extend(pipeline(envelope, event))
            except (
                Exception
            ) as error:  # a pipeline is somebody's code: whatever it raises is about this record
                raise BlamedError(pipeline, error) from error
        return writes

    def writes_of_all(self, envelopes: Sequence[Envelope]) -> Iterator[Write]:
        """Yield what is made of whole batches."""
        for function in self._whole_batches:
            yield from function(envelopes)

    def has_steps_in(self, channel: str) -> bool:
        """Tell whether there are steps for any records of a channel."""
        return any(each.channel in (ANY, channel) for each in self._steps)

    def has_steps(self, envelope: Envelope) -> bool:
        """Tell whether anything is to be done about a record once it is safe."""
        return bool(self._for(envelope).steps)

    def steps(self, envelope: Envelope) -> Iterator[Callable[[], None]]:
        """Yield what is to be done about a record once it is safe; what it raises is a BlamedError."""
        for function in self._for(envelope).steps:
            yield partial(_take, function, envelope)

    def count(self) -> int:
        """Return how many pipelines there are."""
        return len(self._pipelines) + len(self._whole_batches)

    def _for(self, envelope: Envelope) -> _Chosen:
        kind = (envelope.channel, envelope.event)
        return self._chosen.get(kind) or self._choose(kind, envelope)

    def _choose(self, kind: tuple[str, str | None], envelope: Envelope) -> _Chosen:
        if len(self._chosen) >= _MOST_CHOSEN:  # somebody makes up names of events
            self._chosen.clear()
        pipelines = [each.function for each in self._pipelines if each.wants(envelope)]
        chosen = self._chosen[kind] = _Chosen(
            pipelines,
            [each.function for each in self._steps if each.wants(envelope)],
            is_checked=bool(pipelines) or envelope.event in EVENTS,
        )
        return chosen


def _take(step: Step, envelope: Envelope) -> None:
    try:
        step(envelope, event_of(envelope))
    except Exception as error:  # a step is somebody's code, and about this record alone
        raise BlamedError(step, error) from error


def event_of(envelope: Envelope) -> Any:
    """Return the typed event, or the payload of a record without one. Raise ValueError if it does not fit."""
    kind = EVENTS.get(envelope.event or "")
    if kind is None:
        return envelope.payload
    try:
        return kind.from_payload(envelope.payload or {})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the payload is no {envelope.event}: {error!r:.300}") from error


REGISTRY = Registry()
pipeline = REGISTRY.pipeline
whole_batch = REGISTRY.whole_batch
after_write = REGISTRY.after_write


def discover() -> None:
    """Import every module of tasks.pipelines, so that each registers itself."""
    package = importlib.import_module("tasks.pipelines")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"tasks.pipelines.{module.name}")
