"""What Delta Lake promises beyond the contract: tables that any reader opens, types, growth, compaction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from sink_kinds import ids, stream
from sink_servers import read_delta

from sinks import schemas
from sinks.base import Append, Put
from sinks.delta import DeltaSink
from sinks.errors import TransientSinkError
from sinks.schemas import Column, Shape, Type

NOON = "2026-01-31T12:00:00.000001Z"


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[DeltaSink]:
    with DeltaSink(tmp_path) as opened:
        yield opened


def table(root: Path, dataset: str) -> DeltaTable:
    """Return a dataset's table as any reader opens it."""
    return DeltaTable(str(root / "superhero_delta" / dataset))


def rows(root: Path, dataset: str) -> list[dict[str, Any]]:
    """Return a dataset's rows as they stand, all columns included."""
    found: list[dict[str, Any]] = pa.table(table(root, dataset).to_pyarrow_table()).to_pylist()
    return found


def test_any_reader_sees_types_and_partitions(sink: DeltaSink, tmp_path: Path) -> None:
    attack = {"record_id": "p:0", "game_token": "g", "turn": 65535, "damage": 2**64 - 1, "time": NOON}
    sink.write([Append("ATTACKS", [attack]), Put("GAME_META", "g", [{"superhero_id": 7}], NOON)])
    (row,) = rows(tmp_path, "ATTACKS")
    assert (row["date"], row["turn"], row["damage"]) == ("2026-01-31", 65535, Decimal(2**64 - 1))
    assert row["time"] == datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC)
    assert table(tmp_path, "GAME_META").metadata().partition_columns == ["date"]


def test_a_batch_that_is_there_already_makes_no_commit(sink: DeltaSink, tmp_path: Path) -> None:
    for _ in range(3):
        sink.write([stream("p", range(10))])
    assert table(tmp_path, "RECORDS").version() == 1  # the table's making is version 0


def test_a_table_is_compacted_while_it_is_written_to(sink: DeltaSink, tmp_path: Path) -> None:
    for start in range(0, 100, 10):
        sink.write([stream("p", range(start, start + 10))])
    table(tmp_path, "RECORDS").optimize.compact()
    sink.write([stream("p", range(95, 120))])
    assert len(table(tmp_path, "RECORDS").file_uris()) == 2
    assert ids(read_delta(tmp_path, "RECORDS")) == ids(stream("p", range(120)).rows)


def test_a_table_of_an_older_schema_gains_the_new_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mood = Column("mood", Type.UINT8, "how it was", since=2)
    for version, columns in enumerate([(), (mood,), ()], start=1):
        schema = schemas.schema("GROWING", Shape.STREAM, "for a test", columns, version=version)
        monkeypatch.setitem(schemas._SCHEMAS, "GROWING", schema)
        with DeltaSink(tmp_path) as sink:
            sink.write([Append("GROWING", [{"record_id": f"p:{version}", "mood": 7}])])
    found = sorted(rows(tmp_path, "GROWING"), key=lambda row: row["record_id"])
    assert [row["mood"] for row in found] == [None, 7, None]
    assert [row["extra"] for row in found] == ['{"mood":7}', None, '{"mood":7}']


def test_a_folder_that_cannot_be_made_is_transient(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with DeltaSink(tmp_path / "file") as sink, pytest.raises(TransientSinkError, match="file"):
        sink.write([stream("p", [0])])
