"""What a dataset of JSON Lines is to DuckDB: its files, and its columns.

Files. DuckDB takes a tenth of a millisecond and more for each file, and a game makes two: small ones are
gathered into one beforehand, as they are at that moment. Compaction does so for good.

Columns. Our own datasets have those of docs/data.md. Some take what a producer sends beyond its event, too;
their rows' keys are looked through, and only where there are others, as in anybody else's dataset, every
value is, to find out what type it has.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from superhero.ops.objects import layout_of

SMALL_BYTES = 64 << 10
FEW_FILES = 16
"""How many small files of a dataset are left to DuckDB."""

_ATTACK = "record_id game_token turn user_token enemy_token damage enemy_health_prior enemy_health_post time"
_POWERS = "intelligence strength durability speed power combat"
COLUMNS: Mapping[str, Sequence[str]] = {
    "RECORDS": ["record_id", "channel", "time", "level", "logger", "event", "message", "payload"],
    "ATTACKS": _ATTACK.split(),
    "GAME_META": ["game_token", "user_token", "superhero_id"],
    "GAME_PODIUM": ["game_token", "user_token", "rounds", "rank", "damage_delivered", "damage_received"],
    "PLAYERS": ["record_id", "user_token", "game_token", "rank", "rating_prior", "rating", "games", "time"],
    "HEROES": f"roster superhero_id name {_POWERS} health attack".split(),
}
MAY_HAVE_MORE = frozenset({"ATTACKS", "PLAYERS"})

# JSON does not say what a text or number is; in our datasets the same name means the same everywhere.
_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("record_id", "game_token", "user_token", "enemy_token", "roster", "name"), "VARCHAR"),
    **dict.fromkeys(("channel", "level", "logger", "event", "message"), "VARCHAR"),
    **dict.fromkeys(("damage", "damage_delivered", "damage_received", "health", "attack"), "UBIGINT"),
    **dict.fromkeys(("enemy_health_prior", "enemy_health_post"), "UBIGINT"),
    **dict.fromkeys(("turn", "rounds", "superhero_id", "rating", "rating_prior"), "INTEGER"),
    **dict.fromkeys(_POWERS.split(), "UTINYINT"),
    "games": "UBIGINT",
    "time": "TIMESTAMP",
    "rank": "UTINYINT",
    "payload": "JSON",
}
# ignore_errors: a line whose writer is at work, or died.
_OPTIONS = "format = 'newline_delimited', ignore_errors = true"
_NESTED = ("STRUCT", "MAP", "JSON")

Run = Callable[[str], Sequence[Sequence[Any]]]
"""Runs SQL in DuckDB and returns the rows."""


def relation(run: Run, folder: Path, name: str, scratch: Path) -> str | None:
    """Return what a dataset is to DuckDB; None where there is nothing of it. `scratch` is for small files."""
    layout = layout_of(folder, name)
    if not layout.some:
        return None
    paths = [*layout.segments, *_gathered(layout.files, scratch / f"{name}.jsonl")]
    files = f"[{', '.join(text(str(path)) for path in paths)}]"
    columns = _columns(run, files, name)
    listed = ", ".join(f"{text(column)}: {text(type_)}" for column, type_ in columns.items())
    return f"read_json({files}, {_OPTIONS}, columns = {{{listed}}})"


def text(value: str) -> str:
    """Return a text as SQL writes it."""
    quoted = value.replace("'", "''")
    return f"'{quoted}'"


def _gathered(files: Sequence[Path], into: Path) -> list[Path]:
    """Copy small files into one, whole lines only; return it and the files that are not small."""
    if len(files) <= FEW_FILES:
        return list(files)
    large = []
    with into.open("wb") as gathered:
        for path in files:
            content = _content_if_small(path)
            if content is None:
                large.append(path)
            else:
                gathered.write(content[: content.rfind(b"\n") + 1])
    return [into, *large]


def _content_if_small(path: Path) -> bytes | None:
    fd = os.open(path, os.O_RDONLY)
    try:
        content = os.read(fd, SMALL_BYTES + 1)
    finally:
        os.close(fd)
    return content if len(content) <= SMALL_BYTES else None


def _columns(run: Run, files: str, name: str) -> Mapping[str, str]:
    """Return the columns of these files, and what types they have."""
    ours = COLUMNS.get(name)
    if ours is not None and (name not in MAY_HAVE_MORE or not _others(run, files, ours)):
        return {column: _TYPES[column] for column in ours}
    found = run(f"DESCRIBE SELECT * FROM read_json({files}, {_OPTIONS}, sample_size = -1)")
    known = _TYPES if ours is not None else {}
    return {column: known.get(column) or _scalar(type_) for column, type_, *_ in found}


def _others(run: Run, files: str, ours: Iterable[str]) -> bool:
    """Tell whether a row has a field that is none of ours."""
    keys = f"SELECT DISTINCT unnest(json_keys(json)) FROM read_ndjson_objects({files}, ignore_errors = true)"
    return not {key for (key,) in run(keys)}.issubset(ours)


def _scalar(found: str) -> str:
    """Return the type of a column that was found to be of that one."""
    if found.startswith(_NESTED) or found.endswith("]"):
        return "JSON"
    return "TIMESTAMP" if found == "TIMESTAMP WITH TIME ZONE" else found
