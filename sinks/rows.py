"""Fit rows to the columns of a schema: a cell per column, and everything else as JSON in `extra`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sinks.base import Row
from sinks.errors import TerminalSinkError
from sinks.schemas import EXTRA, Schema, Type

LONGEST_NAME = 220
LARGEST_UINT64 = 2**64 - 1

Cells = dict[str, Any]
Fit = Callable[[Any], Any]

_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
# The one form that can be written back as it came; any other text stands in `extra`.
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Fitting:
    """Fits rows of one schema. What a sink's columns cannot hold is said by its two options.

    `largest` is the largest UINT64 that fits; `takes_nul` whether text may contain NUL, which PostgreSQL
    refuses. Whatever does not fit goes to `extra`, where JSON can hold it.
    """

    def __init__(self, schema: Schema, *, largest: int = LARGEST_UINT64, takes_nul: bool = True) -> None:
        fits = _fits(largest, takes_nul)
        self._columns: Mapping[str, Fit] = {column.name: fits[column.type] for column in schema.columns}
        self._empty: Cells = dict.fromkeys(schema.names)

    def cells(self, row: Row, identity: Mapping[str, Any]) -> Cells:
        """Return a value for every column; `identity` is what makes the row unique and always fits.

        A column whose value is None and one that the row does not have are both null. Raise
        TerminalSinkError for a row that is not JSON.
        """
        cells = {**self._empty, **identity}
        rest = {}
        for name, value in row.items():
            if name in identity and value == identity[name]:
                continue
            fit = self._columns.get(name)
            if fit is None or name in identity:
                rest[name] = value
            elif value is not None:
                cell = fit(value)
                if cell is None:
                    rest[name] = value
                else:
                    cells[name] = cell
        if rest:
            cells[EXTRA] = to_json(rest)
        return cells


def to_json(value: object) -> str:
    """Return compact JSON. Raise TerminalSinkError for what is none."""
    try:
        return _clean(_encode_json(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise TerminalSinkError(f"a row is not JSON: {error}") from error


def date_of(time: object) -> str | None:
    """Return the date that a time in ISO 8601 begins with, or None if it has none."""
    match = _DATE.match(time) if isinstance(time, str) else None
    return match[0] if match else None


def _fits(largest: int, takes_nul: bool) -> Mapping[Type, Fit]:
    def text(value: Any) -> str | None:
        if not isinstance(value, str) or (not takes_nul and "\0" in value):
            return None
        return _clean(value)

    def name(value: Any) -> str | None:
        return text(value) if isinstance(value, str) and 0 < len(value) <= LONGEST_NAME else None

    return {
        Type.NAME: name,
        Type.TEXT: text,
        Type.UINT8: _uint(2**8 - 1),
        Type.UINT16: _uint(2**16 - 1),
        Type.UINT64: _uint(min(largest, LARGEST_UINT64)),
        Type.TIME: _time,
        Type.JSON: to_json,
    }


def _uint(largest: int) -> Fit:
    def fit(value: Any) -> int | None:
        # type(): bool is an int to Python and no number to us.
        return value if type(value) is int and 0 <= value <= largest else None

    return fit


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:  # the 31st of February
        return None


def _clean(text: str) -> str:
    """Replace lone surrogates, which a Python str may hold and UTF-8 may not."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
