"""What is known beside a sink: what producers emitted, what is in quarantine, what is in spools."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from superhero.errors import SettingsError
from superhero.ops.datasets import RECORD_ID


@dataclass(frozen=True, slots=True)
class Promise:
    """What a producer says: how many records it emitted, and of how many it knows that they are safe."""

    emitted: int
    confirmed: int


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known beside the sink. A producer that is not in it is judged by its own gaps.

    `quarantined` and `spooled` hold record ids, `<producer>:<sequence>`: of what is in quarantine, and of
    what producers still keep in their spools.
    """

    producers: Mapping[str, Promise] = field(default_factory=dict)
    quarantined: Iterable[str] = ()
    spooled: Iterable[str] = ()


def read_expected(path: Path) -> Expected:
    """Read `{"producers": {producer: {"emitted": n, "confirmed": n}}, "quarantined": [record id, ...]}`.

    Both keys may be missing. Raise SettingsError for anything else.
    """
    try:
        told = _object(json.loads(path.read_text(encoding="utf-8")), "it")
        producers = {
            name: _promise(name, says)
            for name, says in _object(told.get("producers", {}), '"producers"').items()
        }
        quarantined = told.get("quarantined", [])
        if not (
            isinstance(quarantined, list) and all(RECORD_ID.fullmatch(str(each)) for each in quarantined)
        ):
            raise ValueError(f'"quarantined" must be a list of record ids, not {quarantined!r:.50}')
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path} does not say what is expected: {error}; see --help") from error
    return Expected(producers, [str(each) for each in quarantined])


def _object(told: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(told, dict):
        raise ValueError(f"{name} must be a JSON object, not {told!r:.50}")
    return told


def _promise(name: str, says: Any) -> Promise:
    figures = _object(says, f"what {name!r:.80} says")
    return Promise(_count(figures, name, "emitted"), _count(figures, name, "confirmed"))


def _count(figures: Mapping[str, Any], producer: str, name: str) -> int:
    number = figures.get(name)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"{name!r} of {producer!r:.80} must be a whole number, not {number!r:.50}")
    return number
