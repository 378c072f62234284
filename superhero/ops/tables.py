"""Ask a sink in SQL: a DuckDB in memory, a view for each dataset, and nothing else within its reach.

A view is made when a query names it, of the files as they are at that moment; DuckDB reads them when it is
asked. A query sees what every `write` that returned before it has written, and perhaps part of one that has
not: a stream's last line without its end is passed over. What else is no row is passed over, too;
`superhero verify` finds that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from superhero.errors import ServiceError, SuperheroError
from superhero.ops import json_views
from superhero.ops.json_views import text
from superhero.ops.sources import Source

Rows = Sequence[tuple[Any, ...]]

_FETCHED_AT_A_TIME = 1000
_TRIES = 3
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
        self._scratch = TemporaryDirectory(prefix="superhero-query-")
        self._connection: Any = duckdb.connect()
        self.names = [name for name in source.datasets() if source.has(name)]
        self._unseen = set(self.names)  # there is no view of them yet
        run = self._connection.execute
        run("SET TimeZone = 'UTC'")
        reach = (str(source.root.absolute()), self._scratch.name)
        run(f"SET allowed_directories = [{', '.join(map(text, reach))}]")
        # What a query may read is the sink, and write nothing.
        run("SET enable_external_access = false")
        run("SET lock_configuration = true")

    def close(self) -> None:
        """Let go of everything."""
        self._connection.close()
        self._scratch.cleanup()

    def ask(self, sql: str, values: Sequence[object] = ()) -> Answer:
        """Return what one SELECT (or DESCRIBE, SHOW, SUMMARIZE, EXPLAIN) answers. Raise QueryError.

        `values` stand for the question marks in it.
        """
        try:
            statements = self._connection.extract_statements(sql)
            kinds = self._duckdb.StatementType
            if len(statements) != 1 or statements[0].type not in (kinds.SELECT, kinds.EXPLAIN):
                raise QueryError("a query is one SELECT; nothing can be changed by it")
            self._open(name for name in self.names if name.casefold() in sql.casefold())
            try:
                cursor = self._connection.execute(sql, list(values))
            except self._duckdb.CatalogException:
                if not self._unseen:
                    raise
                self._open(self.names)  # a name may be put together in a query
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

    def _open(self, names: Iterable[str]) -> None:
        """Make the views that are not there yet; again if files went meanwhile, as by compaction."""
        for name in self._unseen.intersection(names):
            for further_tries in reversed(range(_TRIES)):
                try:
                    relation = self._relation(name)
                    if relation is not None:
                        self._connection.execute(f"CREATE VIEW {_name(name)} AS {self._selected(relation)}")
                    break
                except (self._duckdb.IOException, FileNotFoundError) as error:
                    if not further_tries:
                        raise QueryError(f"cannot read {self._source.root.absolute()}: {error}") from error
            self._unseen.discard(name)

    def _relation(self, name: str) -> str | None:
        """Return what a dataset is to DuckDB, None where there is nothing of it yet."""
        root = self._source.root.absolute()
        if self._source.kind == "parquet":
            pattern = text(str(root / f"dataset={name}" / "**" / "*.parquet"))
            return f"(SELECT * EXCLUDE (dataset) FROM {_parquet(pattern)})"
        if self._source.kind == "delta":
            return _delta(root / name)
        return json_views.relation(self._fetched, self._source.folder, name, Path(self._scratch.name))

    def _fetched(self, sql: str) -> Sequence[Sequence[Any]]:
        return list(self._connection.execute(sql).fetchall())

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
    tables = Tables(duckdb, source)
    try:
        if not tables.names:
            raise ServiceError(f"there are no datasets under {source.root.absolute()}")
        yield tables
    finally:
        tables.close()


def _delta(path: Path) -> str | None:
    """Return the files of a Delta table as it is now."""
    try:
        from deltalake import DeltaTable
    except ModuleNotFoundError as error:
        raise _not_installed(error, "delta") from error
    files = DeltaTable(str(path)).file_uris()
    return _parquet(f"[{', '.join(map(text, files))}]") if files else None


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


def _is_about_names(error: Exception) -> bool:
    return "Catalog Error" in str(error)


def _name(value: str) -> str:
    quoted = value.replace('"', '""')
    return f'"{quoted}"'
