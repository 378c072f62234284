"""`superhero verify` on a sink that workers still write to: what came meanwhile is not lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from answered import superhero
from sample_run import ATTACKS_A_GAME, GAMES, edit, write_run, writes_of

from sinks import open_sink
from superhero.events import AttackMade
from superhero.ops.datasets import Stream


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that holds a run, to which an attack comes whenever RECORDS was read."""
    write_run(tmp_path)
    number = GAMES * ATTACKS_A_GAME

    def read(folder: Path, dataset: str, **options: Any) -> Stream:
        nonlocal number
        stream = Stream(folder, dataset, **options)
        if dataset == "RECORDS":
            attack = AttackMade("f" * 16, 1, "user1", "user2", 5, 20, 15)
            with open_sink(f"json:{tmp_path}") as sink:
                sink.write(list(writes_of(attack, f"sim-1-game:{number}")))
            number += 1
        return stream

    monkeypatch.setattr("superhero.ops.verify.Stream", read)
    return tmp_path


def test_rows_that_came_meanwhile_are_said_to_have_come(folder: Path) -> None:
    result = superhero("verify", "--offline", f"json:{folder}")
    assert result.exit_code == 1
    assert "Nothing of what was read is lost or doubled." in result.output
    assert "Rows came while it was read" in result.output
    assert "stop the workers, or let them finish, and verify again" in result.output
    assert "Something was lost" not in result.output
    told = json.loads(superhero("verify", "--offline", f"json:{folder}", "--json").output)
    assert (told["rows_came"], told["attacks"]["unexpected"]) == (True, 1)


def test_what_is_lost_beside_them_is_still_called_lost(folder: Path) -> None:
    edit(folder, "RECORDS/sim-1-login.jsonl", lambda lines: lines[1:])
    result = superhero("verify", "--offline", f"json:{folder}")
    assert result.exit_code == 1
    assert "Something was lost or doubled" in result.output
    assert "Rows came while it was read" in result.output


def test_a_sink_that_rests_and_has_rows_too_many_is_not_excused(folder: Path) -> None:
    superhero("verify", "--offline", f"json:{folder}")
    edit(folder, "RECORDS/sim-1-game.jsonl", lambda lines: lines[:-1])  # ATTACKS keeps the one that came
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("superhero.ops.verify.Stream", Stream)
        result = superhero("verify", "--offline", f"json:{folder}")
    assert result.exit_code == 1
    assert "Something was lost or doubled, or cannot be accounted for." in result.output
    assert "Rows came" not in result.output
