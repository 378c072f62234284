"""Several sinks at a time: a batch is safe when every one of them has it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from sinks.base import Sink, Write
from sinks.errors import SinkError, TransientSinkError


class SeveralSinks(Sink):
    """Writes each batch to every sink, in order; as each takes a row once, all can be repeated together.

    A batch that one of them can never hold is an error, although the others may have it by then.
    """

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    def write(self, writes: Sequence[Write]) -> None:
        """Give the batch to every sink, also after one of them refused, and raise the first refusal.

        TransientSinkError comes before others: the batch must be repeated as it is in any case.
        """
        refusals: list[SinkError] = []
        for sink in self._sinks:
            try:
                sink.write(writes)
            except SinkError as error:
                refusals.append(error)
        transient = [error for error in refusals if isinstance(error, TransientSinkError)]
        for first in (*transient, *refusals):
            for other in refusals:
                if other is not first:
                    first.add_note(f"and another sink: {other}")
            raise first

    def close(self) -> None:
        """Close every sink, also after one of them failed to."""
        with ExitStack() as stack:
            for sink in self._sinks:
                stack.callback(sink.close)
