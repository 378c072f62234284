"""SQL: PostgreSQL, MariaDB and SQLite; a table per dataset, a batch per transaction, a row per key.

A row's key, `record_id` or (`object_key`, `object_row`), is its table's primary key, and a row whose key is
there already is left out. The transaction makes the batch one step: all of it is committed or nothing, and
what two workers write at the same time the database sorts out. Rows go in the order of their keys, so that no
two transactions wait for each other.

PostgreSQL takes batches of COPY_FROM_ROWS and more by COPY into a temporary table of the connection. What a
column cannot hold stands in `extra` (sinks/schemas.py): NUL characters, on SQLite whole numbers from 2**63.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import make_url

from sinks.base import Put, Sink, Write
from sinks.durable import make_folder, translated
from sinks.errors import SinkError, TerminalSinkError, TransientSinkError
from sinks.rows import Cells, Fitting
from sinks.schemas import OBJECT_KEY, OBJECT_ROW, RECORD_ID, Schema, schema_of
from sinks.sql_tables import insert_if_new, migrate, table_of

COPY_FROM_ROWS = 50
"""From so many rows on, COPY is quicker than INSERT."""

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 60

_DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql", "sqlite": "sqlite+pysqlite"}
_LARGEST_IN_SQLITE = 2**63 - 1
# MariaDB's numbers for a statement that is longer than the server takes: ER_NET_PACKET_TOO_LARGE.
_TOO_LARGE = 1153

Rows = dict[tuple[str, int], Cells]


class SqlSink(Sink):
    """Writes to one database by one connection. Any number of processes; one thread per object."""

    def __init__(self, url: str) -> None:
        try:
            self._url = make_url(url)
        except (sa.exc.ArgumentError, ValueError):
            # Not chained: the error's text is the URL, which may hold a password.
            raise SinkError("no database's URL; write scheme://user:password@host:port/database") from None
        self._is_sqlite = self._url.drivername == "sqlite"
        self._engine = _engine(self._url)
        self._ready: dict[Schema, sa.Table] = {}
        self._fittings: dict[Schema, Fitting] = {}

    def write(self, writes: Sequence[Write]) -> None:
        """Commit every write of the batch in one transaction.

        Raise TransientSinkError when the database is away or refused for now, TerminalSinkError when a row is
        not JSON or larger than the database takes. Nothing of the batch is in the database then.
        """
        batch = self._batch(writes)
        if not batch:
            return
        with self._translated():
            tables = {schema: self._table(schema) for schema in batch}
            with self._engine.begin() as connection:
                for schema in sorted(batch, key=lambda schema: schema.dataset):
                    rows = batch[schema]
                    _insert(connection, tables[schema], [rows[key] for key in sorted(rows)])

    def close(self) -> None:
        """Close the connection; the next write opens another."""
        self._engine.dispose()
        self._ready.clear()

    def _batch(self, writes: Sequence[Write]) -> dict[Schema, Rows]:
        """Return each dataset's rows by their keys; of rows with the same key the first counts."""
        batch: dict[Schema, Rows] = {}
        for write in writes:
            schema = schema_of(write)
            fitting = self._fitting(schema)
            rows = batch.setdefault(schema, {})
            for number, row in enumerate(write.rows):
                if isinstance(write, Put):
                    key, identity = (write.key, number), {OBJECT_KEY: write.key, OBJECT_ROW: number}
                else:
                    key, identity = (row[RECORD_ID], 0), {RECORD_ID: row[RECORD_ID]}
                if key not in rows:
                    rows[key] = fitting.cells(row, identity)
        return {schema: rows for schema, rows in batch.items() if rows}

    def _fitting(self, schema: Schema) -> Fitting:
        if schema not in self._fittings:
            limits = {"largest": _LARGEST_IN_SQLITE} if self._is_sqlite else {}
            self._fittings[schema] = Fitting(schema, takes_nul=False, **limits)
        return self._fittings[schema]

    def _table(self, schema: Schema) -> sa.Table:
        """Return the dataset's table; it is made, or migrated, when it is first asked for."""
        if schema not in self._ready:
            if self._is_sqlite and self._url.database:
                make_folder(Path(self._url.database).absolute().parent)
            table = table_of(schema)
            migrate(self._engine, schema, table)
            self._ready[schema] = table
        return self._ready[schema]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        shown = f"{self._url.drivername}://{self._url.host or ''}/{self._url.database or ''}"
        try:
            with translated(Path(self._url.database or "")):
                yield
        except sa.exc.SQLAlchemyError as error:
            # Another connection, and another look at the tables: whatever it was that changed meanwhile.
            self.close()
            kind = TerminalSinkError if _is_terminal(error) else TransientSinkError
            raise kind(f"cannot write to {shown}: {_told(error)}") from error


def _engine(url: sa.URL) -> sa.Engine:
    options: dict[str, dict[str, Any]] = {
        "postgresql": {"connect_timeout": CONNECT_TIMEOUT_S, "tcp_user_timeout": ANSWER_TIMEOUT_S * 1000},
        "mariadb": {
            "connect_timeout": CONNECT_TIMEOUT_S,
            "read_timeout": ANSWER_TIMEOUT_S,
            "write_timeout": ANSWER_TIMEOUT_S,
            "charset": "utf8mb4",
            # Without strictness MariaDB cuts what is too long and says nothing.
            "sql_mode": "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION",
        },
        "sqlite": {"timeout": ANSWER_TIMEOUT_S},
    }
    if url.drivername not in _DRIVERS:
        raise SinkError(f"no database is called {url.drivername!r:.50}; known: {', '.join(_DRIVERS)}")
    engine = sa.create_engine(
        url.set(drivername=_DRIVERS[url.drivername]),
        connect_args={key: value for key, value in options[url.drivername].items() if key not in url.query},
        pool_size=1,
        max_overflow=0,
        # A row may hold what is nobody's business in a log.
        hide_parameters=True,
        # READ COMMITTED: MariaDB's default locks the gaps between keys, too, and so runs into deadlocks.
        **({} if url.drivername == "sqlite" else {"isolation_level": "READ COMMITTED"}),
    )
    if url.drivername == "sqlite":
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    # Transactions begin where we say, not where the driver thinks that one is needed.
    connection.isolation_level = None
    # FULL: a commit that returned survives a power cut.
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: sa.Connection) -> None:
    # Take the writer's lock at once: two readers that both want to write would refuse each other.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Cells]) -> None:
    """Insert rows, all with the same columns and in the order of their keys, but those whose keys stand."""
    dialect = connection.dialect.name
    if dialect == "postgresql" and len(rows) >= COPY_FROM_ROWS:
        _copy(connection, table, rows)
    else:
        connection.execute(insert_if_new(table, dialect), rows)


def _copy(connection: sa.Connection, table: sa.Table, rows: Sequence[Cells]) -> None:
    """Copy the rows into a temporary table, empty at the end of every transaction, and insert from there."""
    # None of these names needs quoting more than this: see sql_tables.table_name.
    stage = f"{table.name[:55]}_new"
    columns = ", ".join(f'"{column.name}"' for column in table.columns)
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key)
    connection.exec_driver_sql(
        f'CREATE TEMPORARY TABLE IF NOT EXISTS "{stage}" (LIKE "{table.name}") ON COMMIT DELETE ROWS'
    )
    driver = cast(Any, connection.connection.cursor())
    with driver, driver.copy(f'COPY "{stage}" ({columns}) FROM STDIN') as copy:
        for row in rows:
            copy.write_row(tuple(row.values()))
    connection.exec_driver_sql(
        f'INSERT INTO "{table.name}" ({columns}) SELECT {columns} FROM "{stage}" ORDER BY {keys} '
        "ON CONFLICT DO NOTHING"
    )


def _is_terminal(error: sa.exc.SQLAlchemyError) -> bool:
    """Tell whether the database can never take this; a missing right or table, say, can be put right."""
    if isinstance(error, sa.exc.DataError):
        return True
    driver_error = getattr(error, "orig", None)
    return driver_error is not None and driver_error.args[:1] == (_TOO_LARGE,)


def _told(error: sa.exc.SQLAlchemyError) -> str:
    """Return what the driver said, without SQLAlchemy's statement and hints around it."""
    return str(getattr(error, "orig", None) or error).strip()
