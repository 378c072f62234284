"""Read a dataset's rows back from any sink, in the form in which they were written.

A row is a dict without nulls, its time as text, its JSON parsed, and what stood in `extra` among its fields
again; what a sink adds of its own (object_key, object_row, date) is left out. Nothing here knows the code
that wrote them, only how their files or tables look.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from superhero.errors import ServiceError, SettingsError
from superhero.ops.datasets import Row, rows
from superhero.ops.lakes import DeltaTables, ParquetBucket, ParquetFolder, not_installed
from superhero.ops.objects import layout_of
from superhero.ops.sources import READABLE, source_of
from superhero.sink_urls import BETWEEN_URLS, schemes

_OF_THE_SINK = frozenset({"object_key", "object_row", "date", "dataset"})
_JSON = ("payload", "extra")
_BATCH = 10_000
_DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql", "sqlite": "sqlite"}
_PLAIN_TABLE = re.compile(r"[A-Z][A-Z0-9_]{0,49}")


class Reader(Protocol):
    """Reads datasets."""

    def rows(self, dataset: str) -> Iterator[Row]:
        """Yield a dataset's rows, none if it is not there. Raise ServiceError when that cannot be told."""


def open_reader(sinks: str) -> Reader:
    """Return a reader of the first sink among those URLs that can be read; nothing is opened yet.

    Raise SettingsError if none can. What stands behind a scheme may hold a password and is in no text.
    """
    for url in BETWEEN_URLS.split(sinks.strip()):
        scheme, _, rest = url.partition(":")
        is_bucket = "://" in rest
        match scheme:
            case "json":
                return _JsonLines(source_of(url).folder)
            case "parquet":
                return _Lake(ParquetBucket(rest) if is_bucket else ParquetFolder(source_of(url).folder))
            case "delta":
                return _Lake(DeltaTables(rest if is_bucket else source_of(url).folder))
            case "postgresql" | "mariadb" | "sqlite":
                return _Sql(url)
    known = ", ".join(f"{scheme}:" for scheme in (*READABLE, *_DRIVERS))
    raise SettingsError(f"no sink that can be read is named: {schemes(sinks)}; known: {known}")


def is_json_lines(sinks: str) -> bool:
    """Tell whether `open_reader` would read JSON Lines."""
    return isinstance(open_reader(sinks), _JsonLines)


def local_folder(sinks: str) -> Path | None:
    """Return the folder that `open_reader` would read; None for a database or a bucket."""
    for url in BETWEEN_URLS.split(sinks.strip()):
        scheme, _, rest = url.partition(":")
        if scheme in READABLE:
            return source_of(url).folder if scheme == "json" or "://" not in rest else None
        if scheme in _DRIVERS:
            return None
    return None


class _JsonLines:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rows(self, dataset: str) -> Iterator[Row]:
        for path in layout_of(self._folder, dataset).paths:
            try:
                yield from map(as_written, rows(path))
            except ValueError as error:
                raise ServiceError(f"{path} holds what is no row: {error}") from error


class _Lake:
    def __init__(self, lake: ParquetFolder | ParquetBucket | DeltaTables) -> None:
        self._lake = lake

    def rows(self, dataset: str) -> Iterator[Row]:
        return map(as_written, self._lake.cells(dataset))


class _Sql:
    def __init__(self, url: str) -> None:
        self._url = url

    def rows(self, dataset: str) -> Iterator[Row]:
        try:
            import sqlalchemy as sa

            url = sa.make_url(self._url)
            engine = sa.create_engine(url.set(drivername=_DRIVERS[url.drivername]), hide_parameters=True)
        except ModuleNotFoundError as error:
            raise not_installed(error, urlsplit(self._url).scheme) from error
        try:
            with engine.connect().execution_options(stream_results=True) as connection:
                table = sa.table(_table_name(dataset))
                if not sa.inspect(connection).has_table(table.name):
                    return
                found = connection.execute(sa.select(sa.text("*")).select_from(table))
                for row in found.yield_per(_BATCH).mappings():
                    yield as_written(dict(row))
        except sa.exc.SQLAlchemyError as error:
            raise ServiceError(
                f"cannot read from {url.drivername}: {getattr(error, 'orig', error)}"
            ) from error
        finally:
            engine.dispose()


def as_written(cells: Row) -> Row:
    """Return the row that became these cells."""
    row = {
        name: _value(name, value)
        for name, value in cells.items()
        if value is not None and name not in _OF_THE_SINK
    }
    rest = row.pop("extra", {})
    return {**row, **rest}


def _value(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    if isinstance(value, Decimal):
        return int(value)
    if name in _JSON and isinstance(value, str):
        return json.loads(value)
    if name == "time" and isinstance(value, str) and "T" not in value:
        return f"{value.replace(' ', 'T')}Z"  # as SQLite keeps it
    return value


def _table_name(dataset: str) -> str:
    """Return the table of a dataset, as docs/data.md says."""
    if _PLAIN_TABLE.fullmatch(dataset):
        return dataset.lower()
    return f"{re.sub('[^a-z0-9_]', '_', dataset.lower())[:50]}_{sha256(dataset.encode()).hexdigest()[:8]}"
