"""Servers behind sinks: a schema, database or prefix per folder of a test, and how anyone reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

import httpx
import obstore
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pymysql  # type: ignore[import-untyped]  # has none
import sqlalchemy as sa
from deltalake import DeltaTable
from obstore.store import S3Store
from psycopg import sql

POSTGRESQL = "POSTGRESQL_URL"
MARIADB = "MARIADB_URL"
"""Variables that say where a database for tests is. If one is set, its server must be there."""

_DEFAULTS = {
    POSTGRESQL: "postgresql://postgres@127.0.0.1:5432/test",
    MARIADB: "mariadb://root@127.0.0.1:3306/test",
}
_IDENTITY = {"object_key", "object_row"}

_made: set[tuple[str, str]] = set()
_s3_ports: list[int] = []


def where(variable: str) -> sa.URL:
    """Return the URL of a database server for tests."""
    return sa.make_url(os.environ.get(variable) or _DEFAULTS[variable])


def missing(variable: str) -> str | None:
    """Tell why a database server cannot be used, or None if it can."""
    try:
        if variable == POSTGRESQL:
            _postgresql().close()
        else:
            _mariadb().close()
    except (psycopg.Error, pymysql.Error) as error:
        return f"no {variable.partition('_')[0]} at {where(variable)!r}: {error}"
    return None


def is_required(variable: str) -> bool:
    """Tell whether somebody said that the server is there."""
    return variable in os.environ


def postgresql_url(folder: Path) -> str:
    """Return the URL of a schema that is the folder's own; it is made if need be."""
    name = _name(folder)
    with _postgresql() as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name)))
    _made.add((POSTGRESQL, name))
    url = where(POSTGRESQL).render_as_string(hide_password=False)
    return f"{url}?options={quote(f'-csearch_path={name}')}"


def mariadb_url(folder: Path) -> str:
    """Return the URL of a database that is the folder's own; it is made if need be."""
    name = _name(folder)
    _in_mariadb(f"CREATE DATABASE IF NOT EXISTS {name}")
    _made.add((MARIADB, name))
    return where(MARIADB).set(database=name).render_as_string(hide_password=False)


def drop_what_was_made() -> None:
    """Drop every schema and database that this process made."""
    while _made:
        variable, name = _made.pop()
        if variable == POSTGRESQL:
            with _postgresql() as connection:
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        else:
            _in_mariadb(f"DROP DATABASE {name}")


def sqlite_url(folder: Path) -> str:
    """Return the URL of a file in the folder."""
    return f"sqlite:///{folder}/superhero.db"


def read_postgresql(folder: Path, dataset: str) -> list[dict[str, Any]]:
    """Read a table."""
    return _read_table(sa.make_url(postgresql_url(folder)).set(drivername="postgresql+psycopg"), dataset)


def read_mariadb(folder: Path, dataset: str) -> list[dict[str, Any]]:
    """Read a table."""
    return _read_table(sa.make_url(mariadb_url(folder)).set(drivername="mariadb+pymysql"), dataset)


def read_sqlite(folder: Path, dataset: str) -> list[dict[str, Any]]:
    """Read a table, if there is a file at all."""
    return _read_table(sa.make_url(sqlite_url(folder)), dataset) if folder.is_dir() else []


def _read_table(url: sa.URL, dataset: str) -> list[dict[str, Any]]:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("superhero_datasets"):
            return []
        name = connection.execute(
            sa.text("SELECT table_name FROM superhero_datasets WHERE dataset = :dataset"),
            {"dataset": dataset},
        ).scalar()
        if name is None:
            return []
        table = sa.Table(name, sa.MetaData(), autoload_with=connection)
        statement = sa.select(table).order_by(*table.primary_key)
        return [as_written(dict(row)) for row in connection.execute(statement).mappings()]


def as_written(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as it was before it was fitted to columns: nulls left out, `extra` unfolded."""
    extra = row.pop("extra") or "{}"
    rest = json.loads(extra) if isinstance(extra, str) else extra
    columns = {name: value for name, value in row.items() if value is not None and name not in _IDENTITY}
    return {**columns, **rest}


def parquet_url(folder: Path) -> str:
    """Return the URL of the folder."""
    return f"parquet:{folder}"


def read_parquet(folder: Path, dataset: str) -> list[dict[str, Any]]:
    """Read every file that a reader would find."""
    paths = sorted((folder / "superhero" / f"dataset={dataset}").glob("**/*.parquet"))
    return [as_written(row) for path in paths for row in pq.ParquetFile(path).read().to_pylist()]


def delta_url(folder: Path) -> str:
    """Return the URL of the folder."""
    return f"delta:{folder}"


def read_delta(folder: Path, dataset: str) -> list[dict[str, Any]]:
    """Read a table, if there is one."""
    place = folder / "superhero_delta" / dataset
    return _read_delta(str(place), None) if DeltaTable.is_deltatable(str(place)) else []


def delta_s3_url(folder: Path) -> str:
    """Return the URL of a prefix that is the folder's own."""
    return f"delta{s3_url(folder).removeprefix('parquet')}"


def read_delta_s3(folder: Path, dataset: str) -> list[dict[str, Any]]:
    """Read a table, if there is one."""
    options = {**_s3_options(), "allow_http": "true"}
    place = f"s3://tests/{_name(folder)}/superhero_delta/{dataset}"
    return _read_delta(place, options) if DeltaTable.is_deltatable(place, options) else []


def _read_delta(place: str, options: dict[str, str] | None) -> list[dict[str, Any]]:
    rows = pa.table(DeltaTable(place, storage_options=options).to_pyarrow_table()).to_pylist()
    for row in rows:
        del row["date"]
    return [as_written(row) for row in rows]


@contextmanager
def s3_server() -> Iterator[None]:
    """Serve S3 to the session."""
    argv = [sys.executable, str(Path(__file__).with_name("s3_server.py"))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        if server.stdin is None or server.stdout is None:
            raise RuntimeError("the server has no pipes")
        _s3_ports.append(int(server.stdout.readline()))
        httpx.put(f"{_s3_endpoint()}/tests").raise_for_status()  # makes the bucket
        yield
        server.stdin.close()


def s3_url(folder: Path) -> str:
    """Return the URL of a prefix that is the folder's own."""
    return f"parquet:s3://tests/{_name(folder)}?{urlencode(_s3_options())}"


def read_s3(folder: Path, dataset: str) -> list[dict[str, Any]]:
    """Read every object that a reader would find."""
    store = S3Store(
        "tests",
        prefix=f"{_name(folder)}/superhero/dataset={dataset}",
        config=cast(Any, _s3_options()),
        client_options={"allow_http": True},
    )
    paths = sorted(each["path"] for page in obstore.list(store) for each in page)
    contents = [bytes(obstore.get(store, path).bytes()) for path in paths]
    return [as_written(row) for each in contents for row in pq.ParquetFile(BytesIO(each)).read().to_pylist()]


def _s3_options() -> dict[str, str]:
    return {
        "endpoint": _s3_endpoint(),
        "region": "us-east-1",
        "access_key_id": "key",
        "secret_access_key": "very-secret",
    }


def _s3_endpoint() -> str:
    return f"http://127.0.0.1:{_s3_ports[-1]}"


def _name(folder: Path) -> str:
    return f"test_{sha256(str(folder).encode()).hexdigest()[:20]}"


def _postgresql() -> psycopg.Connection[Any]:
    url = where(POSTGRESQL).set(query={}).render_as_string(hide_password=False)
    return psycopg.connect(url, autocommit=True, connect_timeout=3)


def _mariadb() -> pymysql.Connection[Any]:
    url = where(MARIADB)
    return pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        connect_timeout=3,
    )


def _in_mariadb(statement: str) -> None:
    with _mariadb() as connection, connection.cursor() as cursor:
        cursor.execute(statement)
