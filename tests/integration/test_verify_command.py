"""`superhero verify`: its status, its tables, its JSON, and what it takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sample_run import GAMES, edit, write_run

from sinks import open_sink
from sinks.base import Append
from superhero.cli import main
from superhero.errors import SettingsError
from superhero.ops.datasets import folder_of
from superhero.ops.verify import read_expected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that holds a run."""
    write_run(tmp_path)
    return tmp_path


def run(*arguments: str, **environ: str) -> Result:
    """Run `superhero verify`."""
    return CliRunner().invoke(main, ["verify", *arguments], env={"COLUMNS": "200", **environ})


def test_the_command_s_status_is_0_for_a_clean_sink_and_1_for_another(folder: Path) -> None:
    assert run(f"json:{folder}").exit_code == 0
    edit(folder, "RECORDS/sim-1-login.jsonl", lambda lines: lines[1:])
    result = run(f"json:{folder}")
    assert result.exit_code == 1
    assert "sim-1-login" in result.output
    assert "--quarantine" in result.output


def test_the_command_reads_the_workers_sink(folder: Path) -> None:
    assert run(OUTPUT_DIR=str(folder)).exit_code == 0
    assert run(SINKS=f"json:{folder}", OUTPUT_DIR="elsewhere").exit_code == 0


def test_the_command_prints_json(folder: Path) -> None:
    told: dict[str, Any] = json.loads(run(f"json:{folder}", "--json").output)
    assert told["clean"] is True
    assert told["total"]["lost"] == 0
    assert {line["producer"] for line in told["producers"]} == {"sim-1-login", "sim-1-lobby", "sim-1-game"}
    assert told["games"]["ingested"] == GAMES


def test_the_command_takes_what_producers_say(folder: Path, tmp_path: Path) -> None:
    said = tmp_path / "run.json"
    said.write_text('{"producers": {"sim-1-login": {"emitted": 6, "confirmed": 6}}}')
    assert run(f"json:{folder}", "--expect", str(said)).exit_code == 1
    said.write_text(
        '{"quarantined": ["sim-1-login:5"], "producers": {"sim-1-login": {"emitted": 6, "confirmed": 6}}}'
    )
    assert run(f"json:{folder}", "--expect", str(said)).exit_code == 0


def test_the_command_s_status_is_2_where_nothing_can_be_told(tmp_path: Path) -> None:
    for arguments in (
        (f"json:{tmp_path}",),
        ("s3://bucket",),
        ("json:",),
        ("json:x", "--expect", "not-there"),
    ):
        assert run(*arguments).exit_code == 2


def test_a_table_of_many_producers_stays_short(tmp_path: Path) -> None:
    with open_sink(f"json:{tmp_path}") as sink:
        rows = [
            {"record_id": f"p{n}:{k}", "channel": "shop"} for n in range(60) for k in (0, 2 if n == 9 else 1)
        ]
        sink.write([Append("RECORDS", rows)])
    output = run(f"json:{tmp_path}").output
    assert "60 producers" in output
    assert "p9:1" in output
    assert "p8" not in output


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "not JSON",
        '{"producers": []}',
        '{"producers": {"p": {"emitted": 1}}}',
        '{"producers": {"p": {"emitted": -1, "confirmed": 1}}}',
        '{"producers": {"p": {"emitted": true, "confirmed": 1}}}',
        '{"quarantined": ["p"]}',
    ],
)
def test_a_file_that_does_not_say_what_is_expected_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"run\.json"):
        read_expected(path)


def test_a_sink_is_named_as_the_workers_name_it() -> None:
    assert folder_of("json:///data") == Path("/data")
    assert folder_of("json:var/data") == Path("var/data")
    assert folder_of(" parquet:lake json:my data sqlite:///x.db ") == Path("my data")
    for url in ("json://host/x", "json:", "", "/data", "postgresql://me:s3cret@host/db"):
        with pytest.raises(SettingsError, match="only JSON Lines") as caught:
            folder_of(url)
        assert "s3cret" not in str(caught.value)
