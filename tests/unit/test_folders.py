"""Where a run's data go: a folder that can be written to, or one sentence on why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from superhero.cli import main
from superhero.commands.folders import made


def test_a_folder_is_made_and_left_empty(tmp_path: Path) -> None:
    folder = made(tmp_path / "var" / "demo")
    assert folder.is_dir() and not any(folder.iterdir())
    assert made(folder) == folder


def test_a_demo_that_may_not_write_says_so_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "var").write_text("no folder")
    monkeypatch.chdir(tmp_path)
    for options, folder in (((), "var/demo/"), (("--folder", "var/mine"), "var/mine")):
        result = CliRunner().invoke(main, ["demo", *options])
        assert result.exit_code == 2
        assert f"Error: cannot write to {folder}" in result.output
        assert "--folder" in result.output
        assert "Traceback" not in result.output


def test_a_folder_that_is_there_and_may_not_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("superhero.commands.folders.TemporaryFile", refuse)
    result = CliRunner().invoke(main, ["demo", "--folder", str(tmp_path)])
    assert result.exit_code == 2
    assert f"cannot write to {tmp_path}: Permission denied" in result.output


@pytest.mark.parametrize(
    "words", [("experiment", "single-worker"), ("experiment", "brokers"), ("chaos", "broker-kill")]
)
def test_so_do_trials_and_chaos(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("no folder")
    result = CliRunner().invoke(main, [*words, "--folder", str(tmp_path / "file" / "x")])
    assert (result.exit_code, "cannot write to " in result.output) == (2, True)
