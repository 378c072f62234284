"""The contract of every sink.

Promised: `write` returns only when everything in it is safe (fsynced or committed); written twice, in the
same or in another batch, by this or another process, now or after a crash, a row stands in the sink once; a
`write` that raised or was killed can be repeated as it is. Not promised: order of rows, or that a batch
becomes visible as a whole.

Two shapes of write cover all datasets:

- `Put`: an object that is complete by itself (a game's podium). Same dataset and key: same rows.
- `Append`: rows of a stream, each known by its `record_id`, `<producer>:<sequence>`; a `record_id` stands in
  a dataset once, with the row that came first.

A dataset takes writes of one shape. Where a row has a `time`, and a `Put` one, it is part of what was
written: the same whenever the same row or object comes again, for a sink may lay out its files by it. Text
that UTF-8 cannot hold (lone surrogates) is replaced by `?`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Any, ClassVar, Protocol, Self

from sinks.errors import UnsafeName

Row = Mapping[str, Any]

_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


@dataclass(frozen=True, slots=True)
class Put:
    """A complete object: all `rows` of `key` in `dataset`, the same whenever it is written.

    `time` is when it came to be, in ISO 8601 and UTC; None if that is not known.
    """

    dataset: str
    key: str
    rows: Sequence[Row]
    time: str | None = None

    def __post_init__(self) -> None:
        """Raise UnsafeName for a dataset or key that must not become part of a path."""
        safe_name(self.dataset)
        safe_name(self.key)


@dataclass(frozen=True, slots=True)
class Append:
    """Rows of a stream. Every row has a `record_id` field of the form `<producer>:<sequence>`."""

    dataset: str
    rows: Sequence[Row]
    ids: Sequence[tuple[str, int]] = field(init=False, compare=False, repr=False)
    """(producer, sequence) of each row's `record_id`."""

    def __post_init__(self) -> None:
        """Raise UnsafeName for a dataset or record id that must not become part of a path."""
        safe_name(self.dataset)
        object.__setattr__(self, "ids", split_record_ids([row.get("record_id") for row in self.rows]))


Write = Put | Append


class Sink(Protocol):
    """Where datasets are written to. Safe to use from one thread at a time; any number of processes.

    A sink that derives from this is a context manager that closes it.
    """

    takes_iterators: ClassVar[bool] = False
    """Whether `write` goes through all writes once and in order, and so may be given an iterator instead.

    They are then made while it does, some hundred records at a time, and need not all be in memory. A class
    with a `write` of its own does not inherit it.
    """

    def write(self, writes: Sequence[Write]) -> None:
        """Make every write of the batch safe. Raise TransientSinkError or TerminalSinkError."""

    def close(self) -> None:
        """Release what the sink holds. Whatever `write` returned for is safe already."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def takes_iterators(sink: Sink) -> bool:
    """Tell whether a sink's `write` may be given an iterator.

    Only where the class that defines `write` says so itself: one that derives from it and looks at the writes
    before it hands them on would hand on nothing.
    """
    for defines in (sink, *type(sink).__mro__):
        if "write" in getattr(defines, "__dict__", {}):
            return vars(defines).get("takes_iterators") is True
    return False


def safe_name(name: object) -> str:
    """Return `name` if it can be a file's name anywhere, else raise UnsafeName.

    Letters, digits, `_`, `-` and `.`, not beginning with `.` or `-`, 200 characters at most.
    """
    if isinstance(name, str) and _is_safe(name):
        return name
    raise UnsafeName(f"{name!r:.220} is not a safe name: letters, digits, '_', '-' and '.' only, 1 to 200")


def split_record_id(record_id: object) -> tuple[str, int]:
    """Return (producer, sequence) of a record id, or raise UnsafeName."""
    if isinstance(record_id, str):
        # A worker may ask for each row, and meets few producers: no pattern, but for a new one.
        producer, _, sequence = record_id.rpartition(":")
        if _is_safe(producer) and _is_sequence(sequence):
            return producer, int(sequence)
    raise UnsafeName(f"{record_id!r:.220} is not a record id of the form <producer>:<sequence>")


def split_record_ids(record_ids: Sequence[object]) -> list[tuple[str, int]]:
    """Return (producer, sequence) of each, or raise UnsafeName; quick where they follow upon each other."""
    if not record_ids:
        return []
    producer, first = split_record_id(record_ids[0])
    sequences = range(first, first + len(record_ids))
    # A batch mostly is a run of one producer: to write its ids anew and compare is a third of splitting them.
    # The last one may have a digit more than there may be.
    if [f"{producer}:{sequence}" for sequence in sequences] == record_ids and split_record_id(record_ids[-1]):
        return [(producer, sequence) for sequence in sequences]
    return [split_record_id(record_id) for record_id in record_ids]


@lru_cache(maxsize=1024)
def _is_safe(name: str) -> bool:
    return _SAFE_NAME.fullmatch(name) is not None


def _is_sequence(text: str) -> bool:
    digits = text.isascii() and text.isdigit() and len(text) <= 19
    return digits and (text[0] != "0" or text == "0")
