"""Checksums of datasets: the same for the same rows, in whatever order and whatever sink they stand.

A row counts as JSON with its keys sorted and without nulls; a sum of the rows' digests does not ask for their
order, but for their number: a row that stands twice makes another sum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

_MODULUS = 1 << 128


@dataclass(slots=True)
class Checksum:
    """A dataset's rows, counted and summed up."""

    rows: int = 0
    total: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row in."""
        said = {name: value for name, value in row.items() if value is not None}
        digest = hashlib.blake2b(orjson.dumps(said, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
        self.rows += 1
        self.total = (self.total + int.from_bytes(digest, "big")) % _MODULUS

    def __str__(self) -> str:
        """Return the sum in hex."""
        return f"{self.total:032x}"
