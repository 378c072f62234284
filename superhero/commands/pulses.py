"""Let a command that logs to the pipeline have a pulse: the pipeline's part of it is the same for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from superhero.pulse.heart import Heart, Said
from superhero.transport import CeleryHandler


@contextmanager
def pulse(
    redis_url: str,
    kind: str,
    handler: CeleryHandler | None,
    name: str = "",
    counts: Callable[[], Mapping[str, int]] = dict,
) -> Iterator[None]:
    """Have a pulse within: the handler's counters and producers, and `counts`, which only ever grow."""

    def say() -> Said:
        if handler is None:
            return Said(counts=dict(counts()))
        transport = asdict(handler.counters())
        del transport["last_error"]  # text, and for the log
        return Said({"transport": transport}, handler.numbers(), dict(counts()))

    with Heart(redis_url, kind, name, say):
        yield
