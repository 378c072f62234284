"""What SQL promises beyond the contract: types, keys, migration, and a database that goes away."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sink_kinds import KINDS, Kind, ids, podium, stream

from sinks import open_sink, schemas
from sinks.base import Append, Put, Sink
from sinks.errors import SinkError, TerminalSinkError, TransientSinkError
from sinks.schemas import Column, Shape, Type
from sinks.sql import COPY_FROM_ROWS
from sinks.sql_tables import table_name

every_database = pytest.mark.parametrize(
    "kind",
    [kind for kind in KINDS if kind.name in {"sqlite", "postgresql", "mariadb"}],
    ids=lambda kind: kind.name,
)
DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql"}
NOON = "2026-01-31T12:00:00.000001Z"

Query = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def query(kind: Kind, tmp_path: Path) -> Iterator[Query]:
    """Give a connection of the test's own to the sink's database."""
    url = sa.make_url(kind.url(tmp_path)).set(drivername=DRIVERS[kind.name])
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)

    def ask(statement: str) -> list[dict[str, Any]]:
        with engine.begin() as connection:
            answer = connection.exec_driver_sql(statement)
            return [dict(row) for row in answer.mappings()] if answer.returns_rows else []

    yield ask
    engine.dispose()


@pytest.fixture
def sink(kind: Kind, tmp_path: Path) -> Iterator[Sink]:
    with open_sink(kind.url(tmp_path)) as opened:
        yield opened


@every_database
def test_columns_have_types_that_queries_can_use(sink: Sink, query: Query, kind: Kind) -> None:
    largest = 2**64 - 1 if kind.name != "sqlite" else 2**63 - 1
    rows = [
        {"record_id": f"p:{n}", "game_token": "g", "turn": 65535, "damage": largest - n, "time": NOON}
        for n in range(3)
    ]
    sink.write([Append("ATTACKS", rows)])
    found = query("SELECT turn, damage, time FROM attacks WHERE damage > 9 ORDER BY damage")
    assert [(row["turn"], int(row["damage"])) for row in found] == [(65535, largest - n) for n in (2, 1, 0)]
    if kind.name != "sqlite":
        assert found[0]["time"].replace(tzinfo=UTC) == datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
    else:
        assert found[0]["time"] == "2026-01-31 12:00:00.000001"


@every_database
@pytest.mark.parametrize("size", [1, COPY_FROM_ROWS - 1, COPY_FROM_ROWS, 500])
def test_rows_are_the_same_however_many_come_at_a_time(
    kind: Kind, sink: Sink, tmp_path: Path, size: int
) -> None:
    rows = [
        {
            "record_id": f"p:{number:d}",
            "message": "tab\tnew\nback\\slash \\N 🦸 \x01",
            "event": None if number % 2 else "game.attack",
            "payload": {"text": "\0\\N\t", "number": 2**70, "none": None},
            "time": NOON,
            "other": "\0",
        }
        for number in range(size)
    ]
    for _ in range(2):
        sink.write([Append("RECORDS", rows)])
    read = kind.read(tmp_path, "RECORDS")
    assert ids(read) == ids(rows)
    for row in read:
        payload = row["payload"]
        assert (json.loads(payload) if isinstance(payload, str) else payload) == rows[0]["payload"]
        assert (row["message"], row["other"]) == (rows[0]["message"], "\0")


@every_database
def test_keys_that_differ_in_case_or_accent_only_are_different(
    kind: Kind, sink: Sink, tmp_path: Path
) -> None:
    sink.write([stream("p", [1]), stream("P", [1]), Put("META", "g", [{"n": "é"}]), Put("META", "G", [{}])])
    sink.write([Put("SAME", "x", [{"n": 1}]), Put("same", "x", [{"n": 2}]), Put("s-a.me", "x", [{"n": 3}])])
    assert ids(kind.read(tmp_path, "RECORDS")) == ["P:1", "p:1"]
    assert len(kind.read(tmp_path, "META")) == 2
    assert [kind.read(tmp_path, name) for name in ("SAME", "same", "s-a.me")] == [
        [{"n": 1}],
        [{"n": 2}],
        [{"n": 3}],
    ]


@every_database
def test_a_batch_is_there_wholly_or_not_at_all(kind: Kind, sink: Sink, query: Query, tmp_path: Path) -> None:
    sink.write([podium("g0"), stream("p", [0])])
    query("DROP TABLE records")
    with pytest.raises(TransientSinkError):
        sink.write([podium("g1"), stream("p", [1])])
    assert len(kind.read(tmp_path, "GAME_PODIUM")) == 2
    sink.write([podium("g1"), stream("p", [1])])
    assert ids(kind.read(tmp_path, "RECORDS")) == ["p:1"]
    assert len(kind.read(tmp_path, "GAME_PODIUM")) == 4


@every_database
def test_a_table_of_an_older_schema_gains_the_new_columns(
    kind: Kind, tmp_path: Path, query: Query, monkeypatch: pytest.MonkeyPatch
) -> None:
    def with_columns(version: int, *columns: Column) -> None:
        schema = schemas.schema("GROWING", Shape.STREAM, "for a test", columns, version=version)
        monkeypatch.setitem(schemas._SCHEMAS, "GROWING", schema)

    mood = Column("mood", Type.UINT64, "how it was", since=2)
    told = Column("told", Type.JSON, "what was said", since=3)
    versions = [(1, ()), (2, (mood,)), (3, (mood, told)), (2, (mood,))]
    for number, (version, columns) in enumerate(versions):
        with_columns(version, *columns)
        with open_sink(kind.url(tmp_path)) as sink:
            rows = [{"record_id": f"p{n}:{number}", "mood": 7, "told": [1]} for n in range(100)]
            sink.write([Append("GROWING", rows)])
    found = query("SELECT mood, told FROM growing WHERE record_id LIKE 'p0:%%' ORDER BY record_id")
    assert [row["mood"] and int(row["mood"]) for row in found] == [None, 7, 7, 7]
    assert [row["told"] is None for row in found] == [True, True, False, True]
    assert query("SELECT * FROM superhero_datasets") == [
        {"dataset": "GROWING", "table_name": "growing", "schema_version": 3}
    ]
    assert len(kind.read(tmp_path, "GROWING")) == 400


@every_database
def test_a_connection_that_was_made_before_a_migration_goes_on(
    kind: Kind, tmp_path: Path, query: Query
) -> None:
    with open_sink(kind.url(tmp_path)) as sink:
        sink.write([stream("p", range(100))])
        query("ALTER TABLE records ADD COLUMN mood INTEGER")
        sink.write([stream("p", range(200))])
    assert len(kind.read(tmp_path, "RECORDS")) == 200


@every_database
def test_a_dataset_keeps_its_shape(sink: Sink) -> None:
    sink.write([Put("OTHER", "k", [{"n": 1}])])
    with pytest.raises(TerminalSinkError, match="shape"):
        sink.write([stream("p", [0], "OTHER")])
    with pytest.raises(TerminalSinkError, match="RECORDS"):
        sink.write([Put("RECORDS", "k", [{"n": 1}])])


@pytest.mark.parametrize("kind", [k for k in KINDS if k.name == "postgresql"], ids=lambda k: k.name)
def test_a_connection_that_the_server_ended_is_transient_and_the_next_batch_goes_through(
    kind: Kind, query: Query, tmp_path: Path
) -> None:
    with open_sink(f"{kind.url(tmp_path)}&application_name={tmp_path.name}") as sink:
        sink.write([stream("p", range(100))])
        ended = query(
            f"SELECT pg_terminate_backend(pid, 5000) AS ended FROM pg_stat_activity "
            f"WHERE application_name = '{tmp_path.name[:63]}'"
        )
        assert ended == [{"ended": True}]
        with pytest.raises(TransientSinkError, match="postgresql://"):
            sink.write([stream("p", range(200))])
        sink.write([stream("p", range(200))])
    assert len(kind.read(tmp_path, "RECORDS")) == 200


@pytest.mark.parametrize("scheme", ["postgresql", "mariadb"])
def test_a_database_that_is_away_is_transient_and_its_password_is_not_told(scheme: str) -> None:
    url = f"{scheme}://somebody:very-secret@127.0.0.1:9/db?connect_timeout=2"
    with open_sink(url) as sink, pytest.raises(TransientSinkError, match=r"127\.0\.0\.1") as caught:
        sink.write([stream("p", [0])])
    assert "very-secret" not in f"{caught.value}{caught.value.__cause__!r}{sink!r}"


def test_a_url_that_is_none_is_an_error_without_the_url() -> None:
    with pytest.raises(SinkError) as caught:
        open_sink("postgresql://somebody:very-secret@host:port/db")
    assert "very-secret" not in f"{caught.value}{caught.value.__cause__!r}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("dataset", "name"),
    [
        ("GAME_META", "game_meta"),
        ("RECORDS", "records"),
        ("game_meta", "game_meta_"),
        ("SUPERHERO_DATASETS", "superhero_datasets_"),
        ("a.b-c", "a_b_c_"),
        ("D" * 200, "d" * 50),
    ],
)
def test_a_table_is_named_so_that_no_database_must_quote_it(dataset: str, name: str) -> None:
    assert table_name(dataset).startswith(name)
    assert len(table_name(dataset)) <= 60
    assert set(table_name(dataset)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


def test_no_two_datasets_share_a_table() -> None:
    datasets = ["A", "a", "A.B", "A_B", "a_b", "A-B", *(f"{'X' * length}" for length in range(45, 60))]
    assert len({table_name(dataset) for dataset in datasets}) == len(datasets)
