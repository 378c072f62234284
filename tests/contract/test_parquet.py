"""What Parquet promises beyond the contract: where files are, what is in them, how they grow and change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from sink_kinds import ids, podium, stream
from sink_servers import read_parquet

from sinks.base import Append, Put
from sinks.errors import TransientSinkError
from sinks.parquet import BLOCK_ROWS, BUCKETS, ParquetSink
from sinks.places import Folder

NOON = "2026-01-31T12:00:00.000001Z"
NEXT_DAY = "2026-02-01T00:00:00.000000Z"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "superhero"


@pytest.fixture
def sink(root: Path) -> Iterator[ParquetSink]:
    with ParquetSink(Folder(root)) as opened:
        yield opened


def files(root: Path) -> set[str]:
    """Return the paths of all files but the locks."""
    found = {path.relative_to(root) for path in root.rglob("*") if path.is_file()}
    return {str(path) for path in found if path.parts[0] != "_locks"}


def attack(number: int, **fields: Any) -> dict[str, Any]:
    """Return a row of ATTACKS."""
    return {"record_id": f"p:{number}", "game_token": "g", "turn": 1, "damage": 2**64 - 1, **fields}


def test_files_are_partitioned_by_dataset_and_date(sink: ParquetSink, root: Path) -> None:
    sink.write([Append("ATTACKS", [attack(0, time=NOON), attack(1, time=NEXT_DAY), attack(2)])])
    sink.write([Put("GAME_META", "g", [{"game_token": "g"}], NOON), Put("GAME_META", "h", [{}])])
    attacks = {f"dataset=ATTACKS/date={date}/p.0.parquet" for date in ("2026-01-31", "2026-02-01", "none")}
    assert attacks < files(root)
    others = sorted(Path(path).parts[:2] for path in files(root) - attacks)
    assert others == [("dataset=GAME_META", "date=2026-01-31"), ("dataset=GAME_META", "date=none")]


def test_any_reader_that_globs_sees_types_and_partitions(sink: ParquetSink, root: Path) -> None:
    sink.write([Append("ATTACKS", [attack(0, time=NOON)]), Append("ATTACKS", [attack(1, time=NEXT_DAY)])])
    dataset = ds.dataset(root / "dataset=ATTACKS", format="parquet", partitioning="hive")
    assert dataset.schema.field("turn").type == pa.uint16()
    assert dataset.schema.field("damage").type == pa.uint64()
    assert dataset.schema.field("time").type == pa.timestamp("us", tz="UTC")
    rows = dataset.to_table(filter=ds.field("date") == "2026-01-31").to_pylist()
    assert [(row["damage"], row["time"]) for row in rows] == [
        (2**64 - 1, datetime(2026, 1, 31, 12, 0, 0, 1, tzinfo=UTC))
    ]


def test_a_file_is_one_compressed_row_group_that_says_its_schema(sink: ParquetSink, root: Path) -> None:
    for start in range(0, 100, 10):
        sink.write([stream("p", range(start, start + 10), "ATTACKS")])
    (path,) = root.rglob("*.parquet")
    metadata = pq.ParquetFile(path).metadata
    assert metadata.num_row_groups == 1
    assert metadata.row_group(0).column(0).compression == "ZSTD"
    assert metadata.metadata[b"superhero.dataset"] == b"ATTACKS"
    assert metadata.metadata[b"superhero.schema"] == b"1"


def test_a_full_block_is_followed_by_the_next_file_and_never_written_again(
    sink: ParquetSink, root: Path
) -> None:
    sink.write([stream("p", range(BLOCK_ROWS + 5))])
    first = root / "dataset=RECORDS" / "date=none" / "p.0.parquet"
    before = first.stat()
    sink.write([stream("p", range(BLOCK_ROWS - 5, BLOCK_ROWS + 10))])
    assert first.stat() == before
    assert {path.name for path in root.rglob("*.parquet")} == {"p.0.parquet", "p.1.parquet"}


def test_many_objects_share_few_files(sink: ParquetSink, root: Path, tmp_path: Path) -> None:
    for _ in range(2):
        sink.write([podium(f"g{number}") for number in range(1000)])
    assert len(list(root.rglob("*.parquet"))) == BUCKETS
    assert len(read_parquet(tmp_path, "GAME_PODIUM")) == 2000


def test_what_does_not_fit_its_column_is_kept_beside_it(sink: ParquetSink, tmp_path: Path) -> None:
    odd = {
        "turn": -1,
        "damage": 1.5,
        "enemy_token": "",
        "time": "2026-02-31T00:00:00.000000Z",
        "new": {"a": 1},
    }
    rows = [attack(0, **odd), attack(1, turn=True, damage=2**70)]
    sink.write([Append("ATTACKS", rows)])
    assert read_parquet(tmp_path, "ATTACKS") == rows


def test_a_file_of_an_older_schema_gains_the_columns_and_of_a_newer_keeps_its_own(
    sink: ParquetSink, root: Path, tmp_path: Path
) -> None:
    path = root / "dataset=ATTACKS" / "date=none" / "p.0.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"record_id": ["p:0"], "turn": pa.array([7], pa.uint8()), "mood": [0.5]}), path)
    sink.write([Append("ATTACKS", [attack(0), attack(1)])])
    table = pq.ParquetFile(path).read()
    assert table.schema.field("turn").type == pa.uint16()
    assert table.select(["record_id", "turn", "damage", "mood"]).to_pylist() == [
        {"record_id": "p:0", "turn": 7, "damage": None, "mood": 0.5},
        {"record_id": "p:1", "turn": 1, "damage": 2**64 - 1, "mood": None},
    ]


def test_a_file_cut_in_half_is_let_be_until_somebody_moves_it_away(
    sink: ParquetSink, root: Path, tmp_path: Path
) -> None:
    sink.write([stream("p", range(100))])
    (path,) = root.rglob("*.parquet")
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.write_bytes(half)
    with pytest.raises(TransientSinkError, match=r"p\.0\.parquet is damaged.*move it away"):
        sink.write([stream("p", range(200))])
    assert path.read_bytes() == half
    path.unlink()
    sink.write([stream("p", range(200))])
    assert ids(read_parquet(tmp_path, "RECORDS")) == ids(stream("p", range(200)).rows)


def test_a_file_of_another_format_is_let_be_too(sink: ParquetSink, root: Path) -> None:
    path = root / "dataset=RECORDS" / "date=none" / "p.0.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"n": [1]}), path)
    with pytest.raises(TransientSinkError, match="damaged"):
        sink.write([stream("p", [0])])


def test_what_is_forgotten_is_read_again(
    sink: ParquetSink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.parquet.CACHED_BYTES", 10_000)
    for start in range(0, 40, 10):
        sink.write([stream(f"p{n}", range(start, start + 12)) for n in range(20)])
    assert len(read_parquet(tmp_path, "RECORDS")) == 20 * 42


def test_a_symbolic_link_is_not_followed(sink: ParquetSink, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched\n")
    path = root / "dataset=RECORDS" / "date=none" / "p.0.parquet"
    path.parent.mkdir(parents=True)
    path.symlink_to(outside)
    with pytest.raises(Exception, match="symbolic links"):
        sink.write([stream("p", [0])])
    assert outside.read_text() == "untouched\n"
