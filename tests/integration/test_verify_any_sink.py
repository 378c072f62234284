"""`superhero verify` without a key, on sinks of every kind that needs no server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from answered import ingest, simulated, superhero

KINDS = ("json:{}/lines", "parquet:{}/lake", "delta:{}/delta", "sqlite:///{}/base.db")


@pytest.fixture(params=KINDS, ids=lambda kind: kind.partition(":")[0])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty sink."""
    return str(request.param).format(tmp_path)


def verdict(url: str) -> tuple[int, dict[str, Any]]:
    """Return the exit status and what `verify --json` says."""
    done = superhero("verify", url, "--offline", "--json")
    return done.exit_code, json.loads(done.output)


def test_a_whole_run_has_no_gap_and_its_games_stand_as_told(url: str, tmp_path: Path) -> None:
    records, _ = simulated(tmp_path, "--games", 5)
    ingest(records, url)
    status, found = verdict(url)
    assert status == 0, found
    assert found["total"]["written"] == len(records.read_text().splitlines())
    assert found["games"]["completed"] == found["games"]["ingested"] == 5


@pytest.mark.parametrize(
    ("sink", "named"),
    [
        ("s3://bucket", "'s3:'"),
        ("redis://:s3cret@host json+x:y", "'redis:', 'json+x:'"),
        ("lake", "no scheme"),
    ],
)
def test_a_sink_that_cannot_be_read_is_named_without_its_password(sink: str, named: str) -> None:
    refused = superhero("verify", sink, "--offline")
    assert refused.exit_code == 2
    assert named in refused.output
    assert "known: json:, parquet:" in refused.output
    assert "s3cret" not in refused.output


def test_a_record_that_is_missing_is_found(url: str, tmp_path: Path) -> None:
    records, _ = simulated(tmp_path, "--games", 5)
    lines = records.read_text().splitlines(keepends=True)
    missing = next(at for at, line in enumerate(lines) if '"game.attack"' in line)
    records.write_text("".join(lines[:missing] + lines[missing + 1 :]))
    ingest(records, url)
    status, found = verdict(url)
    assert status == 1
    assert found["total"]["lost"] == 1
