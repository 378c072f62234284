"""What is read back from a sink, whichever, is what was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sink_kinds import KINDS, Kind

from sinks import open_sink
from sinks.base import Append, Put
from superhero.errors import ServiceError, SettingsError
from superhero.ops.readers import open_reader

RECORDS: list[dict[str, Any]] = [
    {
        "record_id": f"p:{number}",
        "channel": "shop",
        "time": f"2026-01-0{1 + number}T12:00:00.000{number:03}Z",
        "message": 'Straße "q" 🦸',
        "payload": {"cents": 2**64 - 1, "lines": [1, None], "time": "2026-01-01"},
        "sent_by": {"a": [number]},
    }
    for number in range(5)
]
PODIUM: list[dict[str, Any]] = [
    {"game_token": "g1", "user_token": "u1", "rank": 1, "damage_delivered": 2**64 - 1},
    {"game_token": "g1", "user_token": "u2", "rank": 2, "damage_delivered": 0, "rounds": 70000},
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_row_comes_back_as_it_was_written(kind: Kind, tmp_path: Path) -> None:
    url = kind.url(tmp_path)
    with open_sink(url) as sink:
        sink.write([Append("RECORDS", RECORDS), Put("GAME_PODIUM", "g1", PODIUM, RECORDS[0]["time"])])
        sink.write([Append("anybody-s", [{"record_id": "q:0", "x": 1.5}])])
    reader = open_reader(url)
    assert sorted(reader.rows("RECORDS"), key=lambda row: str(row["record_id"])) == RECORDS
    assert sorted(reader.rows("GAME_PODIUM"), key=lambda row: str(row["rank"])) == PODIUM
    assert list(reader.rows("anybody-s")) == [{"record_id": "q:0", "x": 1.5}]
    assert list(reader.rows("ATTACKS")) == []


def test_the_first_sink_that_can_be_read_is(tmp_path: Path) -> None:
    with open_sink(f"json:{tmp_path}") as sink:
        sink.write([Append("RECORDS", RECORDS)])
    assert len(list(open_reader(f"documents:x json:{tmp_path} sqlite:///x.db").rows("RECORDS"))) == 5


def test_a_password_is_in_no_error() -> None:
    with pytest.raises(SettingsError) as caught:
        open_reader("documents:http://me:s3cret@host")
    assert "s3cret" not in str(caught.value)
    with pytest.raises(ServiceError) as failed:
        list(open_reader("postgresql://me:s3cret@127.0.0.1:1/db?connect_timeout=2").rows("RECORDS"))
    assert "s3cret" not in str(failed.value)


def test_a_file_that_is_damaged_is_told(tmp_path: Path) -> None:
    for scheme, name in (
        ("parquet", "superhero/dataset=X/date=none/x.parquet"),
        ("json", "superhero/X/x.jsonl"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps([1]) + "\n")
        with pytest.raises(ServiceError, match=path.name):
            list(open_reader(f"{scheme}:{tmp_path}").rows("X"))
