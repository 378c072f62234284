"""Schemas of the datasets, in one place: columns, types, units, versions.

Sinks with columns (Parquet, SQL) take theirs from here, and so does docs/data.md: `python -m sinks.schemas`
prints it. Rules by which a schema may change:

- A column is added with the version that brought it, `since`; no column is removed, renamed or retyped, so
  that files and tables of every version can be read together and a missing column reads as null.
- What a row holds beyond its schema, or what does not fit its column, is neither refused nor lost: it stands
  as JSON in the column `extra`. A dataset without a schema has its whole rows there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from sinks.base import Append, Put, Write
from sinks.errors import TerminalSinkError

EXTRA = "extra"
"""The column that holds, as one JSON object, what has no column of its own; null when there is nothing."""

RECORD_ID = "record_id"
OBJECT_KEY = "object_key"
OBJECT_ROW = "object_row"


class Type(Enum):
    """What a column holds; each sink has its own name for it."""

    NAME = "text of 1 to 220 characters"
    TEXT = "text"
    UINT8 = "whole number, 0 to 255"
    UINT16 = "whole number, 0 to 65535"
    UINT64 = "whole number, 0 to 2**64 - 1"
    TIME = "time in UTC, microseconds"
    JSON = "JSON text"


class Shape(Enum):
    """How a dataset is written, and so what makes a row unique."""

    OBJECTS = (OBJECT_KEY, OBJECT_ROW)
    STREAM = (RECORD_ID,)


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `unit` is what its numbers count, `since` the schema version that brought it."""

    name: str
    type: Type
    meaning: str
    unit: str = ""
    since: int = 1


@dataclass(frozen=True, slots=True)
class Schema:
    """A dataset: its columns without `extra`, which all have. Identity columns come first."""

    dataset: str
    version: int
    shape: Shape
    meaning: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, `extra` last."""
        return (*(column.name for column in self.columns), EXTRA)


IDENTITY: Mapping[Shape, tuple[Column, ...]] = {
    Shape.STREAM: (Column(RECORD_ID, Type.NAME, "identity: `<producer>:<sequence>`"),),
    Shape.OBJECTS: (
        Column(OBJECT_KEY, Type.NAME, "identity: the object's key, such as the game's token"),
        Column(OBJECT_ROW, Type.UINT64, "identity: the row's place in its object", "rows from 0"),
    ),
}

_GAME = Column("game_token", Type.NAME, "the game")
_USER = Column("user_token", Type.NAME, "public id of a participant")


def schema(
    dataset: str, shape: Shape, meaning: str, columns: Sequence[Column] = (), *, version: int = 1
) -> Schema:
    """Return a schema with the identity columns that its shape asks for."""
    return Schema(dataset, version, shape, meaning, (*IDENTITY[shape], *columns))


_SCHEMAS: dict[str, Schema] = {}


def register(added: Schema) -> None:
    """Make a schema known. Raise ValueError if a column is there twice or the dataset is known otherwise."""
    if len(set(added.names)) != len(added.names):
        raise ValueError(f"the schema of {added.dataset} has a column twice: {', '.join(added.names)}")
    if _SCHEMAS.setdefault(added.dataset, added) != added:
        raise ValueError(f"{added.dataset} has another schema already; a dataset has one")


def schema_of(write: Write) -> Schema:
    """Return the schema of a write's dataset; one of identity columns alone for a dataset without.

    Raise TerminalSinkError for a write of the other shape.
    """
    shape = Shape.OBJECTS if isinstance(write, Put) else Shape.STREAM
    known = _SCHEMAS.get(write.dataset)
    if known is None:
        return schema(write.dataset, shape, "rows of a dataset without a schema")
    if known.shape is not shape:
        raise TerminalSinkError(f"{write.dataset} is written as {known.shape.name.lower()}, and this is none")
    return known


def schemas() -> Sequence[Schema]:
    """Return every schema that is known, by the dataset's name."""
    return [_SCHEMAS[dataset] for dataset in sorted(_SCHEMAS)]


def as_markdown() -> str:
    """Return all schemas as tables for the documentation."""
    parts = []
    for each in schemas():
        kind = Append.__name__ if each.shape is Shape.STREAM else Put.__name__
        parts += [f"### {each.dataset}", "", f"{each.meaning} ({kind}, schema version {each.version})", ""]
        parts += ["| column | type | unit | meaning | since |", "| --- | --- | --- | --- | --- |"]
        parts += [
            f"| `{column.name}` | {column.type.value} | {column.unit} | {column.meaning} | {column.since} |"
            for column in (*each.columns, Column(EXTRA, Type.JSON, "what has no column of its own"))
        ]
        parts.append("")
    return "\n".join(parts)


register(
    schema(
        "GAME_META",
        Shape.OBJECTS,
        "Dimension: who played which hero, one row per participant of a completed game.",
        (_GAME, _USER, Column("superhero_id", Type.UINT16, "the participant's hero")),
    )
)
register(
    schema(
        "GAME_PODIUM",
        Shape.OBJECTS,
        "Fact: how everybody came out, one row per participant of a completed game.",
        (
            _GAME,
            _USER,
            Column("rounds", Type.UINT16, "attacks that the participant made", "attacks"),
            Column("rank", Type.UINT8, "1 is the winner", "place"),
            Column("damage_delivered", Type.UINT64, "health taken off others", "points of health"),
            Column("damage_received", Type.UINT64, "health lost to others", "points of health"),
        ),
    )
)
register(
    schema(
        "ATTACKS",
        Shape.STREAM,
        "Fact: every attack, in no particular order.",
        (
            _GAME,
            Column("turn", Type.UINT16, "place of the attack in its game", "attacks from 1"),
            Column("user_token", Type.NAME, "public id of who attacked"),
            Column("enemy_token", Type.NAME, "public id of who was attacked"),
            Column("damage", Type.UINT64, "force of the attack", "points of health"),
            Column("enemy_health_prior", Type.UINT64, "the enemy's health before", "points of health"),
            Column("enemy_health_post", Type.UINT64, "the enemy's health after", "points of health"),
            Column("time", Type.TIME, "when it was logged"),
        ),
    )
)
register(
    schema(
        "PLAYERS",
        Shape.STREAM,
        "Fact: the rating of every player over time, one row per player and game.",
        (
            Column("user_token", Type.NAME, "public id of the player"),
            _GAME,
            Column("rank", Type.UINT8, "1 is the winner of the game", "place"),
            Column("rating_prior", Type.UINT16, "the rating (Elo) before the game", "points"),
            Column("rating", Type.UINT16, "the rating after it; everybody begins with 1000", "points"),
            Column("games", Type.UINT64, "how many games the player has played, this one included", "games"),
            Column("time", Type.TIME, "when it was logged"),
        ),
    )
)
register(
    schema(
        "HEROES",
        Shape.OBJECTS,
        "Dimension: the heroes that games are played with, one row per hero and roster.",
        (
            Column("roster", Type.NAME, "name of the list of heroes, made of its content"),
            Column("superhero_id", Type.UINT16, "the hero, as in GAME_META"),
            Column("name", Type.TEXT, "the hero's name"),
            *(
                Column(power, Type.UINT8, f"the hero's {power}; 1 where it is unknown", "points, 1 to 100")
                for power in ("intelligence", "strength", "durability", "speed", "power", "combat")
            ),
            Column("health", Type.UINT64, "what the hero can bear", "points of health"),
            Column("attack", Type.UINT64, "what an attack of it takes off", "points of health"),
        ),
    )
)
register(
    schema(
        "RECORDS",
        Shape.STREAM,
        "Every log record of every channel, as it was logged.",
        (
            Column("channel", Type.NAME, "the channel it went through"),
            Column("time", Type.TIME, "when it was logged"),
            Column("level", Type.NAME, "INFO, ..."),
            Column("logger", Type.TEXT, "the logger's name"),
            Column("event", Type.NAME, "name of the typed event; null for a plain record"),
            Column("message", Type.TEXT, "the text, for people"),
            Column("payload", Type.JSON, "the event's fields"),
        ),
    )
)

_DOCUMENT = """\
# Data: what the pipeline writes

Made by `python -m sinks.schemas > docs/data.md`; a test holds the two together.

## Where it stands

| sink | a dataset is | a row is known by |
| --- | --- | --- |
| `json:` | `<root>/superhero/<DATASET>/*.jsonl`: a file per object, or per producer of a stream; \
compacted objects in `_compacted/` | the file's name, or `record_id` |
| `parquet:` | `<root>/superhero/dataset=<DATASET>/date=<YYYY-MM-DD>/*.parquet` | `object_key` and \
`object_row`, or `record_id` |
| `delta:` | the table `<root>/superhero_delta/<DATASET>`, partitioned by `date` | the same |
| `postgresql:`, `mariadb:`, `sqlite:` | a table named like the dataset, in small letters | the same, its \
primary key |

`superhero query` has a view for each dataset, whichever of the first three it stands in;
`superhero leaderboard` ranks the players, and `superhero game TOKEN` tells how a fight went.

## Small files

`superhero compact`, once or `--every` so many seconds, merges small files while others write and read. Delta
Lake has its own OPTIMIZE for that; Parquet's and databases' files grow by themselves.

In JSON Lines it merges objects' files into segments, named in `<DATASET>/_compacted/manifest.json` with their
rows, bytes and sha256. A segment is two files: `<name>.jsonl`, the objects' lines as they were, and
`<name>.keys`, a line per object: key, first byte, bytes. To read a dataset, list its `*.jsonl`, then read the
manifest, if there is one, then the `.keys` of its segments; take the segments' rows, and of the listed files
those whose name is none of the keys. What the manifest does not name does not count.

A file of a stream of records carries an extended attribute, `user.superhero.ledger`, where the file system
has any: which records stand in it, so that another worker need not read them. It may be lost, as with most
ways to copy a file, and does not count once the file was changed by other means: then the file is read.

## How it may change

A column is added with a schema version, `since`; none is removed, renamed or given another type, so files and
tables of every version are read together, and a column that was not there yet is null. What a producer sends
beyond the schema, or what does not fit its column, is not refused: it stands as JSON in `extra`, in JSON
Lines as a field of its own. What lacks a field that its event must have goes to quarantine.

Delta Lake and not Iceberg, because its commits need nothing beside the files: a commit is a numbered file
that can be created once, and MERGE by key, serializable, makes a redelivered row add nothing. Iceberg asks
for a catalogue, a service of its own.

Numbers that exceed a database's own types stand in `extra` there. Times are in UTC. A game stands whole or
not at all; rows have no order.

## Sessions

`user.logged_in` in RECORDS begins a session; no event ends one. API v1 has no logout, and its clients open a
connection for each request, so that no connection's end is a user's. A session's end is its last trace: the
last `time` in PLAYERS or ATTACKS before the user's next login.

## Datasets

{tables}"""


def document() -> str:
    """Return docs/data.md."""
    return _DOCUMENT.format(tables=as_markdown())


if __name__ == "__main__":
    print(document(), end="")
