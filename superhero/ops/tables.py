"""Ask a sink in SQL: a DuckDB in memory, a view for each dataset, and nothing else within its reach.

The views are of the files as they are at that moment; DuckDB reads them when it is asked. A query sees what
every `write` that returned before it has written, and perhaps part of one that has not: a stream's last line
without its end is passed over. What else is no row is passed over, too; `superhero verify` finds that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from superhero.errors import ServiceError, SuperheroError
from superhero.ops.objects import Layout, layout_of
from superhero.ops.sources import Source

Rows = Sequence[tuple[Any, ...]]

_FETCHED_AT_A_TIME = 1000
_TRIES = 3
_OURS = frozenset({"RECORDS", "ATTACKS", "GAME_META", "GAME_PODIUM", "PLAYERS", "HEROES"})
# JSON does not say what a text or number is; in our datasets the same name means the same everywhere.
_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("record_id", "game_token", "user_token", "enemy_token", "roster", "name"), "VARCHAR"),
    **dict.fromkeys(("channel", "level", "logger", "event", "message"), "VARCHAR"),
    **dict.fromkeys(("damage", "damage_delivered", "damage_received", "health", "attack"), "UBIGINT"),
    **dict.fromkeys(("enemy_health_prior", "enemy_health_post"), "UBIGINT"),
    **dict.fromkeys(("turn", "rounds", "superhero_id", "rating", "rating_prior"), "INTEGER"),
    **dict.fromkeys(("intelligence", "strength", "durability", "speed", "power", "combat"), "UTINYINT"),
    "games": "UBIGINT",
    "time": "TIMESTAMP",
    "rank": "UTINYINT",
    "payload": "JSON",
}
_NESTED = ("STRUCT", "MAP", "JSON")
_AS_JSON = ("payload", "extra")


class QueryError(SuperheroError):
    """A query that DuckDB refuses; the text is its own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A query's columns, and its rows as they come. Times are in UTC and carry no zone."""

    columns: Sequence[str]
    rows: Iterator[tuple[Any, ...]]


class Tables:
    """Views of a sink's datasets."""

    def __init__(self, duckdb: ModuleType, source: Source) -> None:
        self._duckdb = duckdb
        self._source = source
        self._connection: Any = duckdb.connect()
        self.names: list[str] = []

    def open(self) -> None:
        """Make a view per dataset, and close the door to everything else."""
        run = self._connection.execute
        run("SET TimeZone = 'UTC'")
        run(f"SET allowed_directories = [{_text(str(self._source.root.absolute()))}]")
        for name in self._source.datasets():
            relation = self._relation(name)
            if relation is not None:
                run(f"CREATE VIEW {_name(name)} AS {self._selected(relation)}")
                self.names.append(name)
        # What a query may read is the sink, and write nothing.
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")

    def close(self) -> None:
        """Let go of everything."""
        self._connection.close()

    def ask(self, sql: str, values: Sequence[object] = ()) -> Answer:
        """Return what one SELECT (or DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) answers. Raise QueryError.

        `values` stand for the question marks in it.
        """
        try:
            statements = self._connection.extract_statements(sql)
            kinds = self._duckdb.StatementType
            if len(statements) != 1 or statements[0].type not in (kinds.SELECT, kinds.EXPLAIN):
                raise QueryError("a query is one SELECT; nothing can be changed by it")
            cursor = self._connection.execute(sql, list(values))
            return Answer([column[0] for column in cursor.description], self._rows(cursor))
        except self._duckdb.Error as error:
            raise self._told(error) from error

    def has(self, name: str) -> bool:
        """Tell whether there is a view of that name."""
        return name in self.names

    def _rows(self, cursor: Any) -> Iterator[tuple[Any, ...]]:
        try:
            while rows := cursor.fetchmany(_FETCHED_AT_A_TIME):
                yield from rows
        except self._duckdb.Error as error:
            raise self._told(error) from error

    def _told(self, error: Exception) -> QueryError:
        there = f"\nDatasets here: {', '.join(self.names) or 'none'}" if _is_about_names(error) else ""
        return QueryError(f"{error}{there}")

    def _relation(self, name: str) -> str | None:
        """Return what a dataset is to DuckDB, None where there is nothing of it yet."""
        root = self._source.root.absolute()
        if self._source.kind == "parquet":
            folder = root / f"dataset={name}"
            pattern = folder / "**" / "*.parquet"
            found = any(folder.rglob("*.parquet"))
            return f"(SELECT * EXCLUDE (dataset) FROM {_parquet(_text(str(pattern)))})" if found else None
        if self._source.kind == "delta":
            return _delta(root / name)
        layout = layout_of(self._source.folder, name)
        return self._json_lines(layout, _TYPES if name in _OURS else {}) if layout.some else None

    def _json_lines(self, layout: Layout, types: Mapping[str, str]) -> str:
        files = ", ".join(_text(str(path)) for path in layout.paths)
        # ignore_errors: a line whose writer is at work, or died.
        options = "format = 'newline_delimited', ignore_errors = true"
        sniffed = self._connection.execute(
            f"DESCRIBE SELECT * FROM read_json([{files}], {options}, sample_size = -1)"
        ).fetchall()
        columns = ", ".join(
            f"{_text(name)}: {_text(types.get(name) or _scalar(found))}" for name, found, *_ in sniffed
        )
        return f"read_json([{files}], {options}, columns = {{{columns}}})"

    def _selected(self, relation: str) -> str:
        """Return a SELECT that gives times and JSON the same types whatever the sink."""
        columns = self._connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
        parts = [_selected_column(name, found) for name, found, *_ in columns]
        return f"SELECT {', '.join(parts)} FROM {relation}"


@contextmanager
def open_tables(source: Source) -> Iterator[Tables]:
    """Yield the tables of a sink. Raise ServiceError when DuckDB is not installed or there is nothing."""
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise _not_installed(error, "query") from error
    tables = _opened(duckdb, source)
    try:
        if not tables.names:
            raise ServiceError(f"there are no datasets under {source.root.absolute()}")
        yield tables
    finally:
        tables.close()


def _opened(duckdb: ModuleType, source: Source) -> Tables:
    """Open, again if files went while they were looked at, as compaction makes them go."""
    for further_tries in reversed(range(_TRIES)):
        tables = Tables(duckdb, source)
        try:
            tables.open()
            return tables
        except duckdb.Error as error:
            tables.close()
            if not further_tries:
                raise QueryError(f"cannot read {source.root.absolute()}: {error}") from error
    raise ServiceError(f"cannot read {source.root.absolute()}")


def _delta(path: Path) -> str | None:
    """Return the files of a Delta table as it is now."""
    try:
        from deltalake import DeltaTable
    except ModuleNotFoundError as error:
        raise _not_installed(error, "delta") from error
    files = DeltaTable(str(path)).file_uris()
    return _parquet(f"[{', '.join(map(_text, files))}]") if files else None


def _parquet(paths: str) -> str:
    options = "hive_partitioning = true, hive_types = {'date': 'VARCHAR'}, union_by_name = true"
    return f"read_parquet({paths}, {options})"


def _not_installed(error: ModuleNotFoundError, extra: str) -> ServiceError:
    return ServiceError(
        f"this needs {error.name}, which is not installed: "
        f"pip install -e '.[{extra}]' in the project's folder"
    )


def _selected_column(name: str, found: str) -> str:
    if found == "TIMESTAMP WITH TIME ZONE":
        return f"{_name(name)}::TIMESTAMP AS {_name(name)}"
    if name in _AS_JSON and found == "VARCHAR":
        return f"{_name(name)}::JSON AS {_name(name)}"
    return _name(name)


def _scalar(found: str) -> str:
    """Return the type of a column that was found to be of that one."""
    if found.startswith(_NESTED) or found.endswith("]"):
        return "JSON"
    return "TIMESTAMP" if found == "TIMESTAMP WITH TIME ZONE" else found


def _is_about_names(error: Exception) -> bool:
    return "Catalog Error" in str(error)


def _text(value: str) -> str:
    quoted = value.replace("'", "''")
    return f"'{quoted}'"


def _name(value: str) -> str:
    quoted = value.replace('"', '""')
    return f'"{quoted}"'
