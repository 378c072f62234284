"""Check values against the column types of the datasets; one that does not fit makes its record bad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from superhero.events import Event
from superhero.transport.envelope import Envelope


def text(value: object, name: str) -> str:
    """Return `value` if it is text, else raise ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, not {value!r:.80}")
    return value


def uint8(value: object, name: str) -> int:
    """Return `value` if it is a whole number from 0 to 255, else raise ValueError."""
    return _uint(value, name, 8)


def uint16(value: object, name: str) -> int:
    """Return `value` if it is a whole number from 0 to 65535, else raise ValueError."""
    return _uint(value, name, 16)


def uint64(value: object, name: str) -> int:
    """Return `value` if it is a whole number from 0 to 2**64 - 1, else raise ValueError."""
    return _uint(value, name, 64)


def added(envelope: Envelope, event: Event, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a payload that its event does not have, as a newer producer may send them.

    Beside the columns of `row` they stand in the dataset's `extra`; whoever has a column's name is let go
    of here, and stands in RECORDS all the same.
    """
    known: tuple[str, ...] = event.__match_args__
    payload = envelope.payload or {}
    return {name: value for name, value in payload.items() if name not in known and name not in row}


def _uint(value: object, name: str, bits: int) -> int:
    # bool is an int to Python and no number to us.
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise ValueError(f"{name} must be a whole number of {bits} bits, not {value!r:.80}")
    return value
