"""Tables of the SQL sink: a name and columns for every dataset, made if missing, migrated by adding columns.

A dataset's table is its name in lower case; a name that is not made of capitals, digits and `_` alone, or is
too long, is cut and has a hash behind it. `superhero_datasets` tells which dataset is in which table, and the
schema version that the table has come to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.types import TypeEngine

from sinks.errors import TerminalSinkError
from sinks.rows import LONGEST_NAME
from sinks.schemas import EXTRA, Schema, Type

_CATALOGUE = "superhero_datasets"
_PLAIN = re.compile(r"[A-Z][A-Z0-9_]{0,49}")
_UNSAFE = re.compile(r"[^a-z0-9_]")
# How to take a lock and give it back; it is given back, too, when its connection ends.
_LOCKS = {
    "postgresql": ("SELECT pg_advisory_lock(21320)", "SELECT pg_advisory_unlock(21320)"),
    "mariadb": (
        "SELECT GET_LOCK(CONCAT('superhero.', DATABASE()), 60)",
        "SELECT RELEASE_LOCK(CONCAT('superhero.', DATABASE()))",
    ),
}


class _JsonText(sa.types.UserDefinedType[str]):
    """PostgreSQL's json, which keeps the text as it is, \\u0000 and whole numbers of any size included."""

    cache_ok = True

    def get_col_spec(self, **options: Any) -> str:
        """Return the type's name."""
        return "JSON"


def _text(length: int | None = None) -> TypeEngine[str]:
    """Return a type that has room for anything and, if of a length, compares by code point everywhere."""
    plain: TypeEngine[str] = sa.Text() if length is None else sa.String(length)
    in_postgresql: TypeEngine[str] = sa.Text() if length is None else sa.String(length, collation="C")
    return plain.with_variant(_text_in_mysql(length), "mysql", "mariadb").with_variant(
        in_postgresql, "postgresql"
    )


def _text_in_mysql(length: int | None = None) -> TypeEngine[str]:
    if length is None:
        return mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin")
    return mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")


def _uint(plain: TypeEngine[Any], in_mysql: TypeEngine[Any]) -> TypeEngine[Any]:
    return plain.with_variant(in_mysql, "mysql", "mariadb")


TYPES: Mapping[Type, TypeEngine[Any]] = {
    Type.NAME: _text(LONGEST_NAME),
    Type.TEXT: _text(),
    Type.UINT8: _uint(sa.SmallInteger(), mysql.TINYINT(unsigned=True)),
    Type.UINT16: _uint(sa.Integer(), mysql.SMALLINT(unsigned=True)),
    # PostgreSQL's largest whole number type ends at 2**63 - 1; SQLite's too, and see sinks/sql.py for that.
    Type.UINT64: _uint(sa.BigInteger(), mysql.BIGINT(unsigned=True)).with_variant(
        postgresql.NUMERIC(20, 0), "postgresql"
    ),
    Type.TIME: sa.DateTime(timezone=True).with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb"),
    Type.JSON: sa.Text()
    .with_variant(_text_in_mysql(), "mysql", "mariadb")
    .with_variant(_JsonText(), "postgresql"),
}


def table_name(dataset: str) -> str:
    """Return the name of a dataset's table: at most 60 characters, each a small letter, a digit or `_`."""
    if _PLAIN.fullmatch(dataset) and dataset.lower() != _CATALOGUE:
        return dataset.lower()
    return f"{_UNSAFE.sub('_', dataset.lower())[:50]}_{sha256(dataset.encode()).hexdigest()[:8]}"


def table_of(schema: Schema) -> sa.Table:
    """Return the table that a dataset's rows go to; nothing is done to any database."""
    identity = schema.shape.value
    columns = [
        sa.Column(
            column.name,
            TYPES[column.type],
            primary_key=column.name in identity,
            autoincrement=False,
            comment=column.meaning,
        )
        for column in schema.columns
    ]
    extra = sa.Column(EXTRA, TYPES[Type.JSON], comment="what has no column of its own")
    return sa.Table(
        table_name(schema.dataset),
        sa.MetaData(),
        *columns,
        extra,
        comment=schema.meaning,
        # SQLite: one tree of pages for a table, not one for its rows and one for its key.
        sqlite_with_rowid=False,
        mysql_engine="InnoDB",
    )


def migrate(engine: sa.Engine, schema: Schema, table: sa.Table) -> None:
    """Make the table, or add the columns that it lacks, while nobody else does such a thing.

    Raise TerminalSinkError if the table was made for a dataset of the other shape.
    """
    with engine.connect() as connection, _alone(connection), connection.begin():
        catalogue = _catalogue()
        # Asked first: who may write to tables may not always make them.
        there = sa.inspect(connection).get_table_names()
        for each in (catalogue, table):
            if each.name not in there:
                connection.execute(sa.schema.CreateTable(each))
        present = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
        lacking = [name for name in schema.shape.value if name not in present]
        if lacking:
            raise TerminalSinkError(
                f"table {table.name} has no {lacking[0]}: {schema.dataset} was written in another shape"
            )
        for column in table.columns:
            if column.name not in present:
                _add(connection, table, column)
        _note(connection, catalogue, schema, table)


@contextmanager
def _alone(connection: sa.Connection) -> Iterator[None]:
    """Hold a lock of the database's. SQLite needs none: only one of its transactions writes at a time."""
    if connection.dialect.name not in _LOCKS:
        yield
        return
    take, give = _LOCKS[connection.dialect.name]
    if connection.exec_driver_sql(take).scalar() == 0:
        raise sa.exc.TimeoutError("another migration of this database goes on and on")
    connection.commit()
    try:
        yield
    finally:
        connection.exec_driver_sql(give)
        connection.commit()


def _catalogue() -> sa.Table:
    return sa.Table(
        _CATALOGUE,
        sa.MetaData(),
        sa.Column("dataset", TYPES[Type.NAME], primary_key=True),
        sa.Column("table_name", TYPES[Type.NAME], nullable=False),
        sa.Column("schema_version", sa.Integer, nullable=False),
        mysql_engine="InnoDB",
    )


def _add(connection: sa.Connection, table: sa.Table, column: sa.Column[Any]) -> None:
    quote = connection.dialect.identifier_preparer.quote
    kind = column.type.compile(connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {quote(table.name)} ADD COLUMN {quote(column.name)} {kind}")


def _note(connection: sa.Connection, catalogue: sa.Table, schema: Schema, table: sa.Table) -> None:
    """Put the schema version down, unless a newer one stands there."""
    dataset = {"dataset": schema.dataset, "table_name": table.name, "schema_version": schema.version}
    connection.execute(insert_if_new(catalogue, connection.dialect.name), dataset)
    is_older = (catalogue.c.dataset == schema.dataset) & (catalogue.c.schema_version < schema.version)
    connection.execute(catalogue.update().where(is_older).values(schema_version=schema.version))


def insert_if_new(table: sa.Table, dialect: str) -> sa.Insert:
    """Return a statement that inserts a row and leaves one that stands there with its key as it is."""
    match dialect:
        case "postgresql":
            return postgresql.insert(table).on_conflict_do_nothing()
        case "sqlite":
            return sqlite.insert(table).on_conflict_do_nothing()
    first = next(iter(table.primary_key))
    # Not INSERT IGNORE: that ignores values that do not fit as well.
    return mysql.insert(table).on_duplicate_key_update({first.name: first})
