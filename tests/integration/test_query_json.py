"""Queries over JSON Lines: thousands of small files, compacted ones, and fields that nobody knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from answered import superhero

from sinks import open_sink
from sinks.base import Append, Put
from sinks.schemas import Schema, Shape, schemas
from superhero.ops import json_views
from superhero.ops.json_views import COLUMNS
from superhero.ops.sources import source_of
from superhero.ops.tables import open_tables

GAMES = json_views.FEW_FILES + 5


def rows(folder: Path, sql: str) -> list[dict[str, Any]]:
    """Return what a query over a JSON Lines sink answers."""
    done = superhero("query", sql, "--sink", f"json:{folder}", "--json")
    assert done.exit_code == 0, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def one(folder: Path, sql: str) -> list[Any]:
    """Return the only row that a query answers."""
    (row,) = rows(folder, sql)
    return list(row.values())


def write_games(folder: Path) -> None:
    """Write a game per file, more of them than are left to DuckDB."""
    with open_sink(f"json:{folder}") as sink:
        games = [f"{number:016x}" for number in range(GAMES)]
        row = {"user_token": "user1", "superhero_id": 7}
        sink.write([Put("GAME_META", game, [{"game_token": game, **row}]) for game in games])


def test_many_small_files_are_one_dataset_compacted_or_not(tmp_path: Path) -> None:
    write_games(tmp_path)
    counted = "select count(*), count(distinct game_token), sum(superhero_id) from game_meta"
    assert one(tmp_path, counted) == [GAMES, GAMES, 7 * GAMES]
    done = superhero("compact", "--sink", f"json:{tmp_path}", "--grace", "0")
    assert done.exit_code == 0, done.output
    write_games(tmp_path)  # delivered again: they stand in files of their own again
    assert one(tmp_path, counted) == [GAMES, GAMES, 7 * GAMES]


def test_a_file_without_its_end_takes_no_other_row_along(tmp_path: Path) -> None:
    write_games(tmp_path)
    (tmp_path / "superhero/GAME_META/0.jsonl").write_text('{"game_token":"torn","superhero_id":1}\n{"game_to')
    assert one(tmp_path, "select count(*) from GAME_META") == [GAMES + 1]


def test_a_large_file_stands_beside_small_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_games(tmp_path)
    monkeypatch.setattr(json_views, "SMALL_BYTES", 100)
    large = "".join(f'{{"game_token":"large","superhero_id":{number}}}\n' for number in range(9))
    (tmp_path / "superhero/GAME_META/large.jsonl").write_text(large)
    assert one(tmp_path, "select count(*) from GAME_META") == [GAMES + 9]


def test_what_a_producer_sends_beyond_its_event_is_a_column(tmp_path: Path) -> None:
    with open_sink(f"json:{tmp_path}") as sink:
        attacks = [{"record_id": f"sim-1-game:{number}", "damage": number} for number in range(50_000)]
        sink.write([Append("ATTACKS", [*attacks, {"record_id": "sim-1-game:50000", "weather": "foul"}])])
    found = "select record_id, weather from ATTACKS where weather is not null"
    assert one(tmp_path, found) == ["sim-1-game:50000", "foul"]


def test_a_dataset_that_a_query_does_not_name_is_not_read(tmp_path: Path) -> None:
    write_games(tmp_path)
    with open_sink(f"json:{tmp_path}") as sink:
        sink.write([Append("ORDERS", [{"record_id": "shop:0", "cents": 4200}])])
    (tmp_path / "superhero/GAME_META/_compacted").mkdir()
    (tmp_path / "superhero/GAME_META/_compacted/manifest.json").write_text("damaged")
    assert rows(tmp_path, "select cents from ORDERS") == [{"cents": 4200}]
    assert superhero("query", "from GAME_META", "--sink", f"json:{tmp_path}").exit_code == 2


def test_a_name_that_a_query_puts_together_is_found(tmp_path: Path) -> None:
    write_games(tmp_path)
    assert one(tmp_path, "select count(*) from query_table('GAME_' || 'META')") == [GAMES]


def test_an_empty_dataset_is_none(tmp_path: Path) -> None:
    write_games(tmp_path)
    (tmp_path / "superhero" / "PLAYERS").mkdir()
    with open_tables(source_of(f"json:{tmp_path}")) as tables:
        assert tables.names == ["GAME_META"]


@pytest.mark.parametrize("schema", schemas(), ids=lambda schema: schema.dataset)
def test_our_datasets_have_the_columns_that_the_documentation_says(schema: Schema) -> None:
    identity = schema.shape.value if schema.shape is Shape.OBJECTS else ()
    assert [*identity, *COLUMNS[schema.dataset], "extra"] == list(schema.names)
