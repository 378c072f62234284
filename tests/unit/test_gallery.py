"""docs/trials.md is made of what the commands reported, and of nothing else."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from reports import FOUND, OUTCOME

from benchmarks.gallery import main
from superhero.reports import files
from superhero.reports.brokers import brokers_report
from superhero.reports.trials import trials_report

FAULT = {
    "name": "broker-kill",
    "records": 230,
    "kills": 1,
    "lost": 0,
    "duplicated": 0,
    "recovered_s": 3.25,
    "plain": {"lost": 17, "duplicated": 2},
    "plain_recovered_s": None,
}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """Give the folder of a gallery made of reports that stand there already."""
    names = ("one worker", "many workers", "killed, back", "none before")
    trials = trials_report([replace(OUTCOME, trial=name) for name in names], "superhero experiment all")
    for name, report in (
        ("trials", trials),
        ("brokers", brokers_report(FOUND, "superhero experiment brokers")),
    ):
        (tmp_path / name).mkdir()
        files.write(report, tmp_path / name)
    (tmp_path / "chaos.json").write_text(json.dumps({"faults": [FAULT]}), encoding="utf-8")
    options = [
        "--keep",
        "--out",
        str(tmp_path),
        "--docs",
        str(tmp_path / "docs"),
        "--note",
        "All at once.",
    ]
    (tmp_path / "docs").mkdir()
    done = CliRunner().invoke(main, options, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return tmp_path / "docs"


def test_the_gallery_shows_trials_brokers_and_faults(made: Path) -> None:
    text = (made / "trials.md").read_text(encoding="utf-8")
    assert "All at once." in text
    assert "| records logged | 394 | 394 | 394 | 394 |" in text
    assert "3 / 0" in text and "skipped: KAFKA_URL is not set [kafka]." in text
    assert "| broker-kill | 230 | 1 | 0 | 0 | 3.25 | 17 | 2 | – |" in text


def test_every_picture_is_there_and_every_one_there_is_shown(made: Path) -> None:
    shown = set(
        re.findall(r"!\[[^\]]*\]\(trials/([^)]+)\)", (made / "trials.md").read_text(encoding="utf-8"))
    )
    assert shown == {path.name for path in (made / "trials").iterdir()}
    assert {"killed-back-depth.svg", "brokers-rate.svg", "chaos-recovered.svg"} <= shown
